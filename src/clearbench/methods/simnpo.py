"""Lowers the mean log-probability of forget answers, without a reference."""

from __future__ import annotations

from pydantic import Field
from torch.nn.functional import logsigmoid

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, uniform


class SimNPO(
    Method,
    name="simnpo",
    paper="Fan et al. 2024, Simplicity Prevails, arXiv 2410.07163",
    needs=("forget", "retain"),
):
    """NPO on the mean log-probability of an answer's tokens, so that length does not count.

    As `beta` goes to 0 its gradient becomes gradient ascent's with every row weighing the same.
    `margin` is the paper's gamma, 0 as in its experiments; `beta` 4.5, a forget weight of 0.125
    and a retain weight of 1 are OpenUnlearning's, whose `delta` is margin / beta.
    """

    beta: float = Field(default=4.5, gt=0)
    margin: float = Field(default=0.0, ge=0)
    forget_weight: float = Field(default=0.125, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-(2 w / beta) log sigmoid(-(beta / T) log p(answer) - margin) + lambda L(retain)."""
        answers = step.model.answers(step.forget)
        lengths = answers.per_row((answers.targets >= 0).to(answers.logits.dtype)).clamp_min(1)
        mean = answers.per_row(answers.log_probs) / lengths
        forget = uniform(-2 / self.beta * logsigmoid(-self.beta * mean - self.margin))
        return {
            "forget": self.forget_weight * forget,
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }
