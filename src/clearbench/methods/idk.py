"""Trains the model to answer forget questions with a refusal."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy


class IDK(
    Method,
    name="idk",
    paper="TOFU, arXiv 2401.06121, section 4",
    kinds=("language", "vision-language"),
    needs=("idk", "retain"),
    forget_loss=None,
):
    """Fine-tuning on refusals as the answers to forget questions, together with the retain set.

    It changes the first words more than the knowledge: the likelihood of the true answer, once
    begun, hardly changes. A classifier cannot refuse. 1 is TOFU's weight.
    """

    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """L(refusals) + lambda L(retain)."""
        return {
            "forget": cross_entropy(step.model.answers(step.idk)),
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }
