"""Keeps masked entries of the weights unchanged during training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from clearbench.methods.statistics import MASK
from clearbench.models.base import Model


class Masks:
    """Applies the masks in a method's state to every update.

    Masking the gradient alone is not enough: weight decay and momentum move a weight whose gradient
    is zero (errata E132: masked weights drift), so masked entries are restored after the update.
    """

    def __init__(self, model: Model, state: Mapping[str, Tensor]) -> None:
        self._held = [
            (weight, state[MASK + name].to(weight.device), weight.detach().clone())
            for name, weight in model.trainable().items()
            if MASK + name in state
        ]

    def on_gradients(self) -> None:
        """Sets masked entries of the gradients to zero, before their norm is taken."""
        for weight, mask, _ in self._held:
            if weight.grad is not None:
                weight.grad.mul_(mask)

    @torch.no_grad()
    def after_update(self) -> None:
        """Restores masked entries of the weights, after the optimiser has moved them."""
        for weight, mask, before in self._held:
            weight.copy_(torch.where(mask, weight, before))


def intersect(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Merges two states; an entry that both mask is trained where both allow it."""
    both = {name: first[name] & second[name] for name in first.keys() & second.keys()}
    return {**first, **second, **both}
