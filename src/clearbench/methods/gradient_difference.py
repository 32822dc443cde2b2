"""Climb the loss on the forget set while descending on the retain set."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy


class GradientDifference(
    Method,
    name="gradient_difference",
    paper="Liu et al. 2022, arXiv 2203.12817; TOFU, arXiv 2401.06121",
    needs=("forget", "retain"),
):
    """Gradient ascent on forget, with a retain loss that holds the rest in place.

    `retain_weight` is the lambda of CLEAR's objective; 1 is TOFU's and CLEAR's value.
    """

    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget) + lambda L(retain)."""
        return {
            "forget": -cross_entropy(step.model.answers(step.forget)),
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }
