"""Distils from the original with the true class removed from its distribution."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Step
from clearbench.methods.losses import Term, kl_divergence
from clearbench.methods.paper import Paper
from clearbench.methods.retain import ForgetAndRetain

#: Logit of the true class in the target; its probability becomes exactly 0.
_REMOVED = -1e10


class DELETE(
    ForgetAndRetain,
    name="delete",
    paper=Paper(
        "Decoupled Distillation to Erase: A General Unlearning Method for Any Class-centric Tasks",
        2025,
        "2503.23751",
        "shaaaaron/DELETE",
    ),
    needs=("forget", "retain", "reference"),
    trial={"retain_weight": 1.0},
):
    """Mask distillation: the true class gets probability 0, all others their share of the rest.

    The loss and the masked logit of -1e10 are those of the authors' code (method/delete.py), which
    reads forget rows alone; a `retain_weight` above 0 adds a term that is ours. The paper forgets
    classes of images. On a language model a class is the token that comes next, and every token of
    the answer is masked: that use is ours. The margin of a classifier's head plays no part.
    """

    retain_weight: float = Field(default=0, ge=0)

    def loss(self, step: Step) -> dict[str, Term]:
        """KL(softmax(original's logits, true class at -inf) || model) + lambda L(retain)."""
        original = step.reference.answers(step.forget)
        masked = original.logits.scatter(-1, original.targets[:, None], _REMOVED)
        forget, *retain = step.answers(step.forget, *self.retained(step))
        return {
            "forget": kl_divergence(original.with_logits(masked), forget),
            **self.retain_term(step, retain),
        }
