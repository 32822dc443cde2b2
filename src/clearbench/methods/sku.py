"""Trains on the forget rows, then subtracts the change from the weights."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from clearbench.methods.base import Data, Edit, Method, Model, Stage, Step, Train
from clearbench.methods.losses import Term, cross_entropy, kl_divergence
from clearbench.methods.paper import Paper


class SKU(
    Method,
    name="sku",
    paper=Paper(
        "Towards Safer Large Language Models through Machine Unlearning",
        2024,
        "2402.10058",
        "franciscoliu/SKU",
    ),
    needs=("forget", "shuffled", "retain", "reference"),
):
    """Selective knowledge negation: a stage learns the knowledge to remove, an edit negates it.

    The first stage learns the forget rows and the forget questions with each other's answers, and
    departs from the original on retain. The negation follows the paper (errata E30: the published
    code has none). The weights 2.5, 1 and 0.5 are published; the paper's three random answers per
    question are one draw a step with three times the weight, the same on average.
    """

    forget_weight: float = Field(default=2.5, ge=0)
    shuffled_weight: float = Field(default=3.0, ge=0)
    retain_weight: float = Field(default=0.5, ge=0)
    strength: float = Field(default=1.0, ge=0)

    def stages(self) -> Sequence[Stage]:
        """Two stages: learn, then negate."""
        return (Train(self.loss), Edit(self.negate, looks_back=True))

    def loss(self, step: Step) -> dict[str, Term]:
        """2.5 L(forget) + 3 L(shuffled) - 0.5 KL(original || model)(retain)."""
        original = step.reference.answers(step.retain)
        drift = kl_divergence(original, step.model.answers(step.retain))
        return {
            "forget": self.forget_weight * cross_entropy(step.model.answers(step.forget)),
            "shuffled": self.shuffled_weight * cross_entropy(step.model.answers(step.shuffled)),
            "retain": -self.retain_weight * drift,
        }

    def negate(self, model: Model, data: Data) -> None:
        """Theta = theta_0 - s (theta_1 - theta_0)."""
        model.rescale_change(data.start, -self.strength)
