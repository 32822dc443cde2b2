"""Raises the forget loss, trains random answers and keeps the original's distribution."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, kl_divergence
from clearbench.methods.paper import Paper


class LLMU(
    Method,
    name="llmu",
    paper=Paper(
        "Large Language Model Unlearning", 2023, "2310.10683", "kevinyaobytedance/llm_unlearn"
    ),
    needs=("forget", "random", "retain", "reference"),
    status="adapted",
):
    """Gradient ascent, descent on random answers, and the divergence from the original on retain.

    The random answers are other rows' of the same task; on a classifier, retained people's labels.
    The divergence is from the original (errata E26: not from the model) on answer tokens alone
    (errata E27: not on prompt and padding), over labels on a classifier (errata E59: not over the
    embedding's dimensions). Weights of 1 are CLEAR's; in its vision track 0.02, 0.01 and 1.
    The authors' code has 0.5, 1 and 1 and averages five random answers a step; here one is drawn.
    """

    forget_weight: float = Field(default=1.0, ge=0)
    random_weight: float = Field(default=1.0, ge=0)
    retain_weight: float = Field(default=1.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """-a L(forget) + b L(forget, answered at random) + c KL(original || model)(retain)."""
        original = step.reference.answers(step.retain)
        drift = kl_divergence(original, step.model.answers(step.retain))
        return {
            "forget": -self.forget_weight * cross_entropy(step.model.answers(step.forget)),
            "random": self.random_weight * cross_entropy(step.model.answers(step.random)),
            "retain": self.retain_weight * drift,
        }
