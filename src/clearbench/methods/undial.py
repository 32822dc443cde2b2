"""Distils from the original with the true token's logit lowered."""

from __future__ import annotations

from pydantic import Field

from clearbench.libraries import functional
from clearbench.methods.base import Step
from clearbench.methods.losses import Term, soft_cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain


class UNDIAL(
    ForgetAndRetain,
    name="undial",
    paper=Paper(
        "UNDIAL: Self-Distillation with Adjusted Logits for Robust Unlearning in Large "
        "Language Models",
        2024,
        "2402.10052",
        "dong-river/LLM_unlearning",
    ),
    needs=("forget", "retain", "reference"),
):
    """Self-distillation with adjusted logits: bounded, and without a retain set.

    Only answer tokens count (errata E102: OpenUnlearning averages over prompt and padding, and so
    does the authors' code). `beta` 10 is OpenUnlearning's; the authors' code has 5, its README 3.
    At 0 the target is the original itself. The paper has no retain term; a `retain_weight` above 0
    adds one.
    """

    beta: float = Field(default=10.0, ge=0)
    retain_weight: float = Field(default=0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """CE(model, softmax(original's logits - beta onehot(answer)))."""
        original = step.reference.answers(step.forget)
        ours, *retain = step.answers(step.forget, *self.retained(step))
        lowered = functional.one_hot(original.targets, original.logits.shape[-1])
        return {
            "forget": soft_cross_entropy(original.logits - self.beta * lowered, ours),
            **self.retain_term(step, retain),
        }
