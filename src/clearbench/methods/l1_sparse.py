"""Fine-tunes on retain rows with an L1 penalty on the weights."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy, l1_norm
from clearbench.methods.paper import Paper


class L1Sparse(
    Method,
    name="l1_sparse",
    paper=Paper(
        "Model Sparsity Can Simplify Machine Unlearning",
        2023,
        "2304.04934",
        "OPTML-Group/Unlearn-Sparse",
    ),
    needs=("retain", "unsharded"),
    forget_loss=None,
):
    """Retain fine-tuning with an L1 penalty on the trained weights, which fades to the end.

    With `fade` the strength falls linearly to 0, as in the paper; without, it is CLEAR's sparsity
    method (1e-4). 5e-4 is the paper's order of magnitude; RULI used 3e-4. With LoRA the trained
    weights are the adapter's.
    """

    strength: float = Field(default=5e-4, ge=0)
    fade: bool = True

    def loss(self, step: Step) -> dict[str, Term]:
        """L(retain) + a (1 - t/T) |theta|_1."""
        left = 1 - step.number / step.steps if self.fade else 1.0
        norm = l1_norm(step.model.trainable().values())
        return {
            "retain": cross_entropy(step.model.answers(step.retain)),
            "norm": self.strength * left * norm,
        }
