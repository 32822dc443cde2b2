"""Lowers the mean log-probability of forget answers, without a reference."""

from __future__ import annotations

from pydantic import Field

from clearbench.libraries import functional
from clearbench.methods.base import Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class SimNPO(
    ForgetAndRetain,
    name="simnpo",
    paper=Paper(
        "Simplicity Prevails: Rethinking Negative Preference Optimization for LLM Unlearning",
        2024,
        "2410.07163",
        "OPTML-Group/Unlearn-Simple",
    ),
    needs=("forget", "retain"),
):
    """NPO on the mean log-probability of an answer's tokens, so that length does not count.

    As `beta` goes to 0 its gradient becomes gradient ascent's with every row weighing the same.
    `beta` 4.5, a forget weight of 0.125 and a retain weight of 1 are those of the authors' run on
    forget10 of TOFU, and of OpenUnlearning. `margin` is the paper's gamma; their code, like
    OpenUnlearning's `delta`, takes margin / beta. Its value on TOFU is 0. In their copy of MUSE it
    is 3 on news, 0 on books and 0.1 in the argparse (errata E143: not this loss there).
    """

    beta: float = Field(default=4.5, gt=0)
    margin: float = Field(default=0.0, ge=0)
    forget_weight: float = Field(default=0.125, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-(2 w / beta) log sigmoid(-(beta / T) log p(answer) - margin) + lambda L(retain)."""
        answers, *retain = step.answers(step.forget, *self.retained(step))
        lengths = answers.per_row((answers.targets >= 0).to(answers.logits.dtype)).clamp_min(1)
        mean = answers.per_row(answers.log_probs) / lengths
        forget = uniform(-2 / self.beta * functional.logsigmoid(-self.beta * mean - self.margin))
        return {
            "forget": self.forget_weight * forget,
            **self.retain_term(step, retain),
        }
