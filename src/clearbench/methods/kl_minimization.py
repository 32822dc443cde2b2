"""Raises the forget loss and keeps the original's distribution on retain rows."""

from __future__ import annotations

from typing import Literal

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import TOFU
from clearbench.methods.retain import ForgetAndRetain


class KLMinimization(
    ForgetAndRetain,
    name="kl_minimization",
    paper=TOFU,
    needs=("forget", "retain", "reference"),
):
    """Gradient ascent on forget, with KL(original || model) on retain answers.

    The divergence is over answer tokens only (errata E27: not over the prompt and padding). 1 is
    TOFU's weight. It is gradient difference with `retain: kl`, under the name that tables use.
    """

    retain: Literal["cross_entropy", "kl"] = "kl"

    def loss(self, step: Step) -> dict[str, Term]:
        """-L(forget) + lambda KL(original || model)(retain)."""
        forget, *retain = step.answers(step.forget, *self.retained(step))
        return {
            "forget": -cross_entropy(forget),
            **self.retain_term(step, retain),
        }
