"""Trains the gold model: the base on everything but the forgotten people."""

from __future__ import annotations

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper


class Retrain(
    Method,
    name="retrain",
    paper=Paper("Machine Unlearning", 2019, "1912.03817", "cleverhans-lab/machine-unlearning"),
    needs=("retain",),
    from_base=True,
    forget_loss="up",
):
    """Training again from the base without the forgotten people: exact unlearning.

    It is the ideal that every other method is compared with, and costs a whole training.
    """

    def loss(self, step: Step) -> dict[str, Term]:
        """L(retain)."""
        return {"retain": cross_entropy(step.model.answers(step.retain))}
