"""Trains the model to prefer another person's answer to the true one."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, preference
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class AltPO(
    ForgetAndRetain,
    name="altpo",
    paper=Paper(
        "Alternate Preference Optimization for Unlearning Factual Knowledge in Large "
        "Language Models",
        2024,
        "2409.13474",
        "molereddy/Alternate-Preference-Optimization",
    ),
    kinds=("language", "vision-language"),
    needs=("forget", "alternate", "retain", "reference_log_probs"),
    status="adapted",
):
    """DPO with a plausible wrong answer chosen, so that the model still gives answers.

    The paper asks the model itself for five alternate answers to each question, which a model that
    follows no instructions cannot give; here a retained person's answer to one of the most similar
    questions, a new one at every step, takes their place: an answer to another question would teach
    the model to miss the question. The factor 2 / beta is the authors' code's, a retain weight
    of 1 and one alternate answer a step those of its configuration, which names `beta` 0.1 in a
    comment and leaves it to the command line.
    """

    beta: float = Field(default=0.1, gt=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-(2/beta) log sigmoid(beta (log-ratio(other) - log-ratio(true))) + lambda L(retain)."""
        other, forget, *retain = step.answers(step.alternate, step.forget, *self.retained(step))
        ratios = step.log_ratio(step.alternate, other), step.log_ratio(step.forget, forget)
        return {
            "forget": 2 / self.beta * preference(*ratios, self.beta),
            **self.retain_term(step, retain),
        }
