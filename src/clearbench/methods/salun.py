"""Trains random labels with only the weights on which the forget loss depends most."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Data, Model, State
from clearbench.methods.paper import Paper
from clearbench.methods.random_labels import RandomLabels
from clearbench.methods.statistics import saliency_mask


class SalUn(
    RandomLabels,
    name="salun",
    paper=Paper(
        "SalUn: Empowering Machine Unlearning via Gradient-based Weight Saliency in Both "
        "Image Classification and Generation",
        2023,
        "2310.12508",
        "OPTML-Group/Unlearn-Saliency",
    ),
    needs=("forget", "random", "retain", "unsharded"),
    status="adapted",
):
    """Saliency unlearning: random labels under a mask of the most salient weights.

    The mask takes the largest half of |sum of forget gradients|, one ranking over all weights as
    in the paper (errata E63: not tensor by tensor). Masked weights are restored after every update
    (errata E132: momentum would move them). A wrong answer is a retained person's, where the
    authors' code draws any label, the true one included. The losses weigh the same; in the
    authors' code they weigh as their numbers of rows, in one shuffled set (CIFAR-100) or in one
    pass after the other (CIFAR-10): `weighting` "rows".
    """

    share: float = Field(default=0.5, gt=0, lt=1)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes the mask in one pass over the forget rows, and counts rows that are weights."""
        mask = saliency_mask(model, data.batches("forget"), self.share)
        return super().prepare(model, data, seed) | mask
