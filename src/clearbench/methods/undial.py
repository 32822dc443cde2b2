"""Distils from the original with the true token's logit lowered."""

from __future__ import annotations

from pydantic import Field
from torch.nn.functional import one_hot

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, soft_cross_entropy


class UNDIAL(
    Method,
    name="undial",
    paper="Dong et al. 2024, UNDIAL, arXiv 2402.10052",
    needs=("forget", "reference"),
):
    """Self-distillation with adjusted logits: bounded, and without a retain set.

    Only answer tokens count (errata E102: OpenUnlearning averages over prompt and padding). `beta`
    10 is the paper's; at 0 the target is the original itself.
    """

    beta: float = Field(default=10.0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """CE(model, softmax(original's logits - beta onehot(answer)))."""
        original, ours = step.reference.answers(step.forget), step.model.answers(step.forget)
        lowered = one_hot(original.targets, original.logits.shape[-1])
        return {"forget": soft_cross_entropy(original.logits - self.beta * lowered, ours)}
