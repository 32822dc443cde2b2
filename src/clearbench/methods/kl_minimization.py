"""Raises the forget loss and keeps the original's distribution on retain rows."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, kl_divergence


class KLMinimization(
    Method,
    name="kl_minimization",
    paper="TOFU, arXiv 2401.06121, section 4",
    needs=("forget", "retain", "reference"),
):
    """Gradient ascent on forget, with KL(original || model) on retain answers.

    The divergence is over answer tokens only (errata E27: not over the prompt and padding) and from
    the original (errata E26: not from the model). 1 is TOFU's weight.
    """

    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget) + lambda KL(original || model)(retain)."""
        original = step.reference.answers(step.retain)
        forget, retain = step.answers(step.forget, step.retain)
        return {
            "forget": -cross_entropy(forget),
            "retain": self.retain_weight * kl_divergence(original, retain),
        }
