"""Trains the model to prefer a refusal to the true answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from clearbench.methods.base import Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy, preference
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain
from clearbench.methods.stages import ORIGINAL

#: Name of the weights that have learned to refuse.
_TUNED = "tuned"


class DPO(
    ForgetAndRetain,
    name="dpo",
    paper=Paper(
        "Direct Preference Optimization: Your Language Model is Secretly a Reward Model",
        2023,
        "2305.18290",
        "eric-mitchell/direct-preference-optimization",
    ),
    needs=("forget", "idk", "kept", "retain", "reference_log_probs"),
):
    """Direct preference optimisation with the refusal chosen and the true answer rejected.

    Log-probabilities are summed over whole answers. On a classifier the refusal is the label of a
    random retained image. The factor 2/beta, `beta` 0.1 and a retain weight of 1 are one set, that
    of OpenUnlearning and of `dpo_grad_diff` in the repository of NPO. TOFU's code has neither
    factor nor retain term (`scaled` false, retain weight 0), and `beta` 0.1 as well. CLEAR's paper
    has no factor either; it takes as reference a model fine-tuned on the refusals (`reference`
    `tuned`: a stage before, with the steps of the run; unlearning still starts from the original)
    and adds their loss with a `refusal_weight` of 1 (errata E21: its code has neither). CLEAR's
    vision track chooses the true label of a retained image itself: `chosen` "retain", beta 1 (at
    which its factor 1/beta is 1), `scaled` false, retain weight 0.

    Attributes:
        scaled: True for the factor 2/beta of NPO, at which the slope at the original does not
            depend on beta; False for the loss of the paper.
        refusal_weight: Weight of the loss on the refusals.
        reference: Weights that are compared with: the `original`, or those `tuned` on refusals.
        chosen: Preferred answer: a `refusal` to the forget question, or a `retain` row's own.
    """

    beta: float = Field(default=0.1, gt=0)
    scaled: bool = True
    refusal_weight: float = Field(default=0.0, ge=0)
    reference: Literal["original", "tuned"] = "original"
    chosen: Literal["refusal", "retain"] = "refusal"

    @model_validator(mode="after")
    def _has_refusals(self) -> DPO:
        if self.chosen == "retain" and (self.refusal_weight or self.reference == "tuned"):
            raise ValueError(
                "there are no refusals where retained rows are chosen; "
                "leave 'refusal_weight' and 'reference' out"
            )
        return self

    @property
    def needed(self) -> tuple[str, ...]:
        """The needs without the role of the other choice."""
        other = "kept" if self.chosen == "refusal" else "idk"
        return tuple(need for need in super().needed if need != other)

    def stages(self) -> Sequence[Stage]:
        """One stage, and before it the one that makes a tuned reference."""
        if self.reference == "original":
            return (Train(self.loss),)
        tune = Train(self.refuse, needs=("idk",), name=_TUNED)
        return (tune, Train(self.loss, start=ORIGINAL, reference=_TUNED))

    def refuse(self, step: Step) -> dict[str, Term]:
        """L(refusals)."""
        return {"tuning": cross_entropy(step.model.answers(step.idk))}

    def loss(self, step: Step) -> dict[str, Term]:
        """-(2/beta) log sigmoid(beta (log-ratio(chosen) - log-ratio(true))) + lambda L(retain)."""
        better = step.idk if self.chosen == "refusal" else step.kept
        chosen, forget, *retain = step.answers(better, step.forget, *self.retained(step))
        ratios = step.log_ratio(better, chosen), step.log_ratio(step.forget, forget)
        terms = {
            "forget": (2 / self.beta if self.scaled else 1.0) * preference(*ratios, self.beta),
            **self.retain_term(step, retain),
        }
        if self.refusal_weight:
            terms["refusal"] = self.refusal_weight * cross_entropy(chosen)
        return terms
