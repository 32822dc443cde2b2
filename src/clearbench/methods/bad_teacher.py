"""Distils from an untrained model on forget rows and from the original on retain rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, kl_divergence
from clearbench.methods.paper import Paper
from clearbench.methods.retain import by_rows, row_shares


class BadTeacher(
    Method,
    name="bad_teacher",
    paper=Paper(
        "Can Bad Teaching Induce Forgetting? Unlearning in Deep Networks using an "
        "Incompetent Teacher",
        2022,
        "2205.08096",
        "vikram2000b/bad-teaching-unlearning",
    ),
    needs=("forget", "retain", "reference", "untrained"),
    status="adapted",
):
    """Distillation from the original on retain and from a randomly initialised model on forget.

    Both divergences are from the teacher, summed over classes or the vocabulary and averaged over
    answers; the published code averages over classes as well. Temperature 1 is the
    published code's; at another the loss is multiplied by its square, which that code does not do.
    There both sets are shuffled into one, so that the losses weigh as their numbers of rows:
    `weighting` "rows", with 0.3 of the retain rows as in the repository of SSD. The default is
    "equal", because a step here has as many forget rows as retain rows, and the size of the retain
    set would else decide how much is forgotten.

    Attributes:
        weighting: Weights of the forget and retain loss before `forget_weight` and
            `retain_weight`: `equal`, 1 and 1; or `rows`, their shares of the rows of both.
        retain_share: Share of the retain rows that counts in `rows`.
    """

    forget_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    weighting: Literal["equal", "rows"] = "equal"
    retain_share: float = Field(default=0.3, gt=0, le=1)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes the shares of the rows, where they are weights."""
        return row_shares(data, self.retain_share) if self.weighting == "rows" else {}

    def loss(self, step: Step) -> dict[str, Term]:
        """A KL(untrained || model)(forget) + b KL(original || model)(retain)."""
        bad, good = step.untrained.answers(step.forget), step.reference.answers(step.retain)
        forget = kl_divergence(bad, step.model.answers(step.forget), self.temperature)
        retain = kl_divergence(good, step.model.answers(step.retain), self.temperature)
        terms = {"forget": self.forget_weight * forget, "retain": self.retain_weight * retain}
        return by_rows(step.state, terms)
