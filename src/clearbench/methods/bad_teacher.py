"""Distils from an untrained model on forget rows and from the original on retain rows."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, kl_divergence
from clearbench.methods.paper import Paper


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
):
    """Distillation from the original on retain and from a randomly initialised model on forget.

    Both divergences are from the teacher, summed over classes or the vocabulary and averaged over
    answers (errata E135: the published code averages over classes as well). Equal weights and
    temperature 1 are the paper's.
    """

    forget_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=1.0, gt=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """A KL(untrained || model)(forget) + b KL(original || model)(retain)."""
        bad, good = step.untrained.answers(step.forget), step.reference.answers(step.retain)
        forget = kl_divergence(bad, step.model.answers(step.forget), self.temperature)
        retain = kl_divergence(good, step.model.answers(step.retain), self.temperature)
        return {"forget": self.forget_weight * forget, "retain": self.retain_weight * retain}
