"""Raises the loss on the forget rows and lowers that on the retain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from clearbench.batches.answers import Answers
from clearbench.methods.base import Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy, entropy, kl_divergence
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class GradientDifference(
    ForgetAndRetain,
    name="gradient_difference",
    paper=Paper(
        "Continual Learning and Private Unlearning",
        2022,
        "2203.12817",
        "Cranial-XIX/Continual-Learning-Private-Unlearning",
    ),
    needs=("forget", "retain"),
):
    """Gradient ascent on forget, with descent on retain against damage to the rest.

    `retain_weight` is the lambda of CLEAR's objective; 1 is TOFU's and CLEAR's value. CLEAR's code
    has five more forms. On forget `entropy` is maximised (errata E25: the code minimises it), or
    `kl` from the original is; on retain `kl` from the original is minimised. Divergences are from
    the original, on answer tokens (errata E27: the code averages over all positions). Both have no
    gradient at the original itself, so with `kl` on both only rounding, magnified by Adam, changes
    the weights.
    """

    forget: Literal["cross_entropy", "entropy", "kl"] = "cross_entropy"

    def stages(self) -> Sequence[Stage]:
        """One stage, with a reference where a form compares with the original."""
        looks_back = self.forget == "kl" and "reference" not in self.needed
        return (Train(self.loss, needs=(*self.needed, "reference") if looks_back else None),)

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget) + lambda L(retain), with L, H or KL(original || model)."""
        forget, *retain = step.answers(step.forget, *self.retained(step))
        return {"forget": -self._measured(step, forget), **self.retain_term(step, retain)}

    def _measured(self, step: Step, answers: Answers) -> Term:
        """The form of forget loss."""
        if self.forget == "kl":
            return kl_divergence(step.reference.answers(step.forget), answers)
        return entropy(answers) if self.forget == "entropy" else cross_entropy(answers)
