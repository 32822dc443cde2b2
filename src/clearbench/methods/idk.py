"""Trains the model to answer forget questions with a refusal."""

from __future__ import annotations

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import TOFU
from clearbench.methods.retain import ForgetAndRetain


class IDK(
    ForgetAndRetain,
    name="idk",
    paper=TOFU,
    kinds=("language", "vision-language"),
    needs=("idk", "retain"),
    forget_loss=None,
):
    """Fine-tuning on refusals as the answers to forget questions, together with the retain set.

    It changes the first words more than the knowledge: the likelihood of the true answer, once
    begun, hardly changes. A classifier cannot refuse. The two terms are means of their own, as in
    TOFU's paper, with its weight of 1; its code takes one mean over the tokens of both, so that
    they weigh as their lengths, at half the scale.
    """

    def loss(self, step: Step) -> dict[str, Term]:
        """L(refusals) + lambda L(retain)."""
        refusals, *retain = step.answers(step.idk, *self.retained(step))
        return {
            "forget": cross_entropy(refusals),
            **self.retain_term(step, retain),
        }
