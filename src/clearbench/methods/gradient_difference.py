"""Raises the loss on the forget rows and lowers that on the retain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from clearbench.methods.base import Method, Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy, entropy, kl_divergence
from clearbench.methods.step import Batches


class GradientDifference(
    Method,
    name="gradient_difference",
    paper="Liu et al. 2022, arXiv 2203.12817; TOFU, arXiv 2401.06121; forms in CLEAR's code",
    needs=("forget", "retain"),
):
    """Gradient ascent on forget, with descent on retain against damage to the rest.

    `retain_weight` is the lambda of CLEAR's objective; 1 is TOFU's and CLEAR's value. CLEAR's code
    has five more forms. On forget `entropy` is maximised (errata E25: the code minimises it), or
    `kl` from the original is; on retain `kl` from the original is minimised. Divergences are from
    the original (errata E26: the code swaps the arguments) on answer tokens (errata E27: the code
    averages over all positions). Both have no gradient at the original itself, so with `kl` on both
    only rounding, magnified by Adam, changes the weights.
    """

    forget: Literal["cross_entropy", "entropy", "kl"] = "cross_entropy"
    retain: Literal["cross_entropy", "kl"] = "cross_entropy"
    retain_weight: float = Field(default=1.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """One stage, with a reference where a form compares with the original."""
        looks_back = "kl" in (self.forget, self.retain)
        return (Train(self.loss, needs=(*self.needs, "reference") if looks_back else None),)

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget) + lambda L(retain), with L, H or KL(original || model)."""
        return {
            "forget": -_measured(self.forget, step, step.forget),
            "retain": self.retain_weight * _measured(self.retain, step, step.retain),
        }


def _measured(form: str, step: Step, batches: Batches) -> Term:
    """One form of loss on the rows of one role."""
    answers = step.model.answers(batches)
    if form == "kl":
        return kl_divergence(step.reference.answers(batches), answers)
    return entropy(answers) if form == "entropy" else cross_entropy(answers)
