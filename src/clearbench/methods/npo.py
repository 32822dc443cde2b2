"""Lowers the probability of the true answer relative to the original's."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, negative_preference


class NPO(
    Method,
    name="npo",
    paper="Zhang et al. 2024, arXiv 2404.05868",
    needs=("forget", "retain", "reference_log_probs"),
):
    """Negative preference optimisation: gradient ascent that fades as an answer is forgotten.

    As `beta` goes to 0 its gradient becomes gradient ascent's. The log-ratio is of whole answers
    (errata E23, E125: not a mean over entries or over a batch). `beta` 0.1 and a retain weight of 1
    are the paper's NPO+RT.
    """

    beta: float = Field(default=0.1, gt=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """(2/beta) log(1 + (p_model/p_original)^beta)(forget) + retain_weight L(retain)."""
        forget, retain = step.answers(step.forget, step.retain)
        log_ratio = step.log_ratio(step.forget, forget)
        return {
            "forget": negative_preference(log_ratio, self.beta),
            "retain": self.retain_weight * cross_entropy(retain),
        }
