"""Lowers the probability of the true answer relative to the original's."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, negative_preference
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class NPO(
    ForgetAndRetain,
    name="npo",
    paper=Paper(
        "Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning",
        2024,
        "2404.05868",
        "licong-lin/negative-preference-optimization",
    ),
    needs=("forget", "retain", "reference_log_probs"),
):
    """Negative preference optimisation: gradient ascent that fades as an answer is forgotten.

    As `beta` goes to 0 its gradient becomes gradient ascent's. The log-ratio is of whole answers
    (errata E23, E125, E143: not a mean over entries or over a batch, nor of raw logits). `beta` 0.1
    and a retain weight of 1 are the paper's NPO+RT.
    """

    beta: float = Field(default=0.1, gt=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """(2/beta) log(1 + (p_model/p_original)^beta)(forget) + retain_weight L(retain)."""
        forget, *retain = step.answers(step.forget, *self.retained(step))
        log_ratio = step.log_ratio(step.forget, forget)
        return {
            "forget": negative_preference(log_ratio, self.beta),
            **self.retain_term(step, retain),
        }
