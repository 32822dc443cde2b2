"""Trains the model on wrong answers to the forget questions."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy


class RandomLabels(
    Method,
    name="random_labels",
    paper="Graves et al. 2021, Amnesiac Machine Learning, arXiv 2010.10981",
    needs=("forget", "random", "retain"),
):
    """Fine-tuning on forget questions with other people's answers, and on the retain set.

    The wrong answer is a retained person's, drawn anew in each step. Both losses weigh the same in
    the published code.
    """

    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget questions, random answers) + lambda L(retain)."""
        return {
            "forget": cross_entropy(step.model.answers(step.random)),
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }
