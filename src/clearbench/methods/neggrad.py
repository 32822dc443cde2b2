"""Raises the forget loss and lowers the retain loss in alternating steps."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper


class NegGrad(
    Method,
    name="neggrad",
    paper=Paper(
        "Eternal Sunshine of the Spotless Net: Selective Forgetting in Deep Networks",
        2019,
        "1911.04933",
        "AdityaGolatkar/SelectiveForgetting",
    ),
    needs=("forget", "retain"),
    status="adapted",
    trial={"retain_steps": 1},
):
    """Gradient ascent on forget and descent on retain in alternating steps of one optimiser.

    CLEAR takes a whole pass over forget and then one over retain, in every epoch; its forget passes
    are empty on its small forget sets (errata E52: incomplete batches are dropped). Here one forget
    step is followed by `retain_steps`: 4, as many people as it keeps per forgotten one (80 and
    20). On a classifier with an additive-margin head the loss is that of the embedding, margin
    included.
    """

    retain_steps: int = Field(default=4, ge=1)

    def loss(self, step: Step) -> dict[str, Term]:
        """First of each round: -L(forget). The others: L(retain)."""
        if step.number % (1 + self.retain_steps) == 0:
            return {"forget": -cross_entropy(step.model.answers(step.forget))}
        return {"retain": cross_entropy(step.model.answers(step.retain))}
