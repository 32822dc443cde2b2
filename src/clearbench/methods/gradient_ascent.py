"""Raises the loss on the forget rows."""

from __future__ import annotations

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import TOFU


class GradientAscent(
    Method,
    name="gradient_ascent",
    paper=TOFU,
    needs=("forget",),
):
    """Gradient ascent on the forget set: unbounded, so a long run destroys the model."""

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget)."""
        return {"forget": -cross_entropy(step.model.answers(step.forget))}
