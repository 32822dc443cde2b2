"""Raises the forget loss with each token weighted by its probability."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, uniform


class WGA(
    Method,
    name="wga",
    paper="Wang et al. 2025, Rethinking LLM Unlearning Objectives, arXiv 2502.19301",
    needs=("forget", "retain"),
):
    """Weighted gradient ascent: tokens weigh by their own probability, without its gradient.

    A forgotten token no longer counts, which bounds the ascent; `beta` 0 is plain
    gradient ascent. 1, 1 and 1 are the published values.
    """

    beta: float = Field(default=1.0, ge=0)
    forget_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-w mean_t p_t^beta L_t(forget) + lambda L(retain), p_t without gradient."""
        log_probs = step.model.answers(step.forget).log_probs
        known = (self.beta * log_probs.detach()).exp()
        return {
            "forget": self.forget_weight * uniform(known * log_probs),
            "retain": self.retain_weight * cross_entropy(step.model.answers(step.retain)),
        }
