"""Raises the forget loss and lowers the retain loss in one step, mostly the latter."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper


class NegGradPlus(
    Method,
    name="neggrad_plus",
    paper=Paper("Towards Unbounded Machine Unlearning", 2023, "2302.09880", "meghdadk/SCRUB"),
    needs=("forget", "retain"),
    trial={"retain_share": 0.5},
):
    """A convex mix of descent on retain and ascent on forget.

    `retain_share` is the authors' alpha, between 0.95 and 0.9999 in their code; 0.95 forgets most.
    It is gradient difference in other units: lambda = a / (1 - a), and a loss that stays in size.
    """

    retain_share: float = Field(default=0.95, ge=0, le=1)

    def loss(self, step: Step) -> dict[str, Term]:
        """A L(retain) - (1 - a) L(forget)."""
        forget = cross_entropy(step.model.answers(step.forget))
        retain = cross_entropy(step.model.answers(step.retain))
        return {"forget": (self.retain_share - 1) * forget, "retain": self.retain_share * retain}
