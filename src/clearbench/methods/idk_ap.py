"""Trains refusals of forget questions and keeps retain answers more likely than refusals."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, preference
from clearbench.methods.paper import CLOSER_LOOK


class IDKAP(
    Method,
    name="idk_ap",
    paper=CLOSER_LOOK,
    kinds=("language", "vision-language"),
    needs=("idk", "retain", "refused"),
    forget_loss=None,
):
    """Refusals of forget questions, with answer preservation (AP) on the retain rows.

    The retain term prefers the true answer to a refusal of the same question by the model's own
    log-probabilities of whole answers, without a reference; its gradient fades once the answer is
    far more likely. A classifier cannot refuse. `beta` 0.1 is `config/tofu.yaml` of the authors'
    code and `retain_weight` 1 its `idk_ap.sh`; the code's factor 1/`beta` is kept, so that the
    slope at equal probabilities is 1/2 for every `beta`.
    """

    beta: float = Field(default=0.1, gt=0)
    retain_weight: float = Field(default=1.0, ge=0)

    @property
    def needed(self) -> tuple[str, ...]:
        """The declared needs, without retain rows of no weight."""
        return self.needs if self.retain_weight else ("idk",)

    def loss(self, step: Step) -> dict[str, Term]:
        """L(refusals) - retain_weight / beta log sigmoid(beta log(p(answer) / p(refusal)))."""
        if not self.retain_weight:
            return {"forget": cross_entropy(step.model.answers(step.idk))}
        refusals, kept, refused = step.answers(step.idk, step.retain, step.refused)
        true, false = (answers.per_row(answers.log_probs) for answers in (kept, refused))
        return {
            "forget": cross_entropy(refusals),
            "retain": self.retain_weight / self.beta * preference(true, false, self.beta),
        }
