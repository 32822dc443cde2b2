"""Raises the forget loss on the tokens that are neither forgotten nor certain."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class SatImp(
    ForgetAndRetain,
    name="satimp",
    paper=Paper(
        "Exploring Criteria of Loss Reweighting to Enhance LLM Unlearning",
        2025,
        "2505.11953",
        "tmlr-group/SatImp",
    ),
    needs=("forget", "retain"),
):
    """Gradient ascent weighted by saturation, p^beta1, times importance, (1 - p)^beta2.

    Neither factor carries a gradient. Saturation stops a forgotten token, importance excludes what
    any model would predict; `importance` 0 is WGA and both 0 gradient ascent. 5 and 1 are
    OpenUnlearning's values (the authors vary both); a forget weight of 1 and a retain weight of 0.1
    are the authors' (OpenUnlearning's configuration has them the other way round).
    """

    saturation: float = Field(default=5.0, ge=0)
    importance: float = Field(default=1.0, ge=0)
    forget_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=0.1, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-w mean_t p_t^beta1 (1 - p_t)^beta2 L_t(forget) + lambda L(retain)."""
        forget, *retain = step.answers(step.forget, *self.retained(step))
        log_probs = forget.log_probs
        known = log_probs.detach().exp()
        counts = known**self.saturation * (1 - known).clamp_min(0) ** self.importance
        return {
            "forget": self.forget_weight * uniform(counts * log_probs),
            **self.retain_term(step, retain),
        }
