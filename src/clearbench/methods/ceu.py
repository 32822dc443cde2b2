"""Distils the model from its own distribution without the true token."""

from __future__ import annotations

import math

from pydantic import Field

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, soft_cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class CEU(
    ForgetAndRetain,
    name="ceu",
    paper=Paper("CE-U: Cross Entropy Unlearning", 2025, "2503.01224"),
    needs=("forget", "retain"),
):
    """Cross entropy with the model's own distribution over all tokens but the true one.

    The target carries no gradient. With p the true token's probability, its logit's slope is p and
    another token's -q p / (1 - p): it fades as the answer is forgotten. The first token of an
    answer is left out as in the paper, because it holds no fact of the answer (`skipped` 1); an
    answer always keeps its last token, so a classifier's label counts. The paper has no retain
    term; a `retain_weight` above 0 adds one.
    """

    retain_weight: float = Field(default=0, ge=0)
    skipped: int = Field(default=1, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """CE(model, softmax(logits with -inf at the answer)), the first tokens left out."""
        answers, *retain = step.answers(step.forget, *self.retained(step))
        target = answers.logits.detach().scatter(-1, answers.targets[:, None], -math.inf)
        values = soft_cross_entropy(target, answers).values
        last = answers.per_row(values.new_ones(len(values)))[answers.rows] - 1
        counts = answers.ordinals >= last.clamp_max(self.skipped)
        return {
            "forget": Term(values, counts.to(values.dtype)),
            **self.retain_term(step, retain),
        }
