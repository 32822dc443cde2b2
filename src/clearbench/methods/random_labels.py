"""Trains the model on wrong answers to the forget questions."""

from __future__ import annotations

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class RandomLabels(
    ForgetAndRetain,
    name="random_labels",
    paper=Paper("Amnesiac Machine Learning", 2020, "2010.10981"),
    needs=("forget", "random", "retain"),
):
    """Fine-tuning on forget questions with other people's answers, and on the retain set.

    The wrong answer is a retained person's, drawn anew in each step. Both losses weigh the same in
    the published code.
    """

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget questions, random answers) + lambda L(retain)."""
        wrong, *retain = step.answers(step.random, *self.retained(step))
        return {
            "forget": cross_entropy(wrong),
            **self.retain_term(step, retain),
        }
