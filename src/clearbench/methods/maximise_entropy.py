"""Lowers the divergence of the model's distribution from the uniform one on forget answers."""

from __future__ import annotations

import math

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.libraries import functional
from clearbench.methods.base import Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import CLOSER_LOOK
from clearbench.methods.retain import ForgetAndRetain


class MaximiseEntropy(
    ForgetAndRetain,
    name="maximise_entropy",
    paper=CLOSER_LOOK,
    needs=("forget", "retain"),
    status="adapted",
):
    """Maximised entropy (ME+GD): on forget answers every token of the vocabulary is as likely.

    The divergence is KL(uniform || model), as in the authors' code, over the whole vocabulary (on a
    classifier over its labels); its gradient in the logits is p - 1/V. The other order,
    KL(model || uniform), is what `gradient_difference` with `forget` "entropy" lowers. Departure:
    only answer tokens count, since only they have logits here; the authors mask nothing for this
    loss (`mask` false), so that questions and padding count as well. `forget_weight` 0.1,
    `retain_weight` 1 and cross entropy on retain are those of the authors' `me_gd.sh`.
    """

    forget_weight: float = Field(default=0.1, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """forget_weight KL(uniform || model)(forget) + retain_weight L(retain)."""
        forget, *retain = step.answers(step.forget, *self.retained(step))
        return {
            "forget": self.forget_weight * _divergence_from_uniform(forget),
            **self.retain_term(step, retain),
        }


def _divergence_from_uniform(answers: Answers) -> Term:
    """-log V - (1/V) sum over the vocabulary of log p, per answer token."""
    log_probs = functional.log_softmax(answers.logits, dim=-1)
    return uniform(-math.log(log_probs.shape[-1]) - log_probs.mean(-1))
