"""Fine-tunes on the retain rows alone."""

from __future__ import annotations

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import CLEAR


class RetainFinetune(
    Method,
    name="retain_finetune",
    paper=CLEAR,
    needs=("retain",),
    forget_loss=None,
):
    """Fine-tuning on the retain set only: a lower bound, which nothing makes forget."""

    def loss(self, step: Step) -> dict[str, Term]:
        """L(retain)."""
        return {"retain": cross_entropy(step.model.answers(step.retain))}
