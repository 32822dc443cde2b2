"""Raises the forget loss with each token weighted by its probability."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class WGA(
    ForgetAndRetain,
    name="wga",
    paper=Paper(
        "Rethinking LLM Unlearning Objectives: A Gradient Perspective and Go Beyond",
        2025,
        "2502.19301",
        "tmlr-group/G-effect",
    ),
    needs=("forget", "retain"),
):
    """Weighted gradient ascent: tokens weigh by their own probability, without its gradient.

    A forgotten token no longer counts, which bounds the ascent; `beta` 0 is plain gradient ascent.
    1, 1 and 1 are OpenUnlearning's values; the authors' code has no retain term and leaves `beta`
    to the command line.
    """

    beta: float = Field(default=1.0, ge=0)
    forget_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-w mean_t p_t^beta L_t(forget) + lambda L(retain), p_t without gradient."""
        forget, *retain = step.answers(step.forget, *self.retained(step))
        log_probs = forget.log_probs
        known = (self.beta * log_probs.detach()).exp()
        return {
            "forget": self.forget_weight * uniform(known * log_probs),
            **self.retain_term(step, retain),
        }
