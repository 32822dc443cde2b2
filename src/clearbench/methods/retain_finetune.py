"""Fine-tunes on the retain rows alone."""

from __future__ import annotations

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy


class RetainFinetune(
    Method,
    name="retain_finetune",
    paper="CLEAR, arXiv 2410.18057, section 5.1",
    needs=("retain",),
    forget_loss=None,
):
    """Fine-tuning on the retain set only: a lower bound, which nothing makes forget."""

    def loss(self, step: Step) -> dict[str, Term]:
        """L(retain)."""
        return {"retain": cross_entropy(step.model.answers(step.retain))}
