"""Updates weights that are held in half precision through copies in float32."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class MasterWeights:
    """Float32 copies of trained weights of a shorter type; others stand for themselves.

    An update of 1e-5 times a weight is lost in bfloat16, whose neighbouring numbers differ by 1/256
    of their size. The optimiser changes the copies, which keep it, and the model's weights are
    their rounded values.

    Args:
        weights: Weights that are trained, by name.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter]) -> None:
        self.by_name: dict[str, nn.Parameter] = {
            name: weight if weight.element_size() >= 4 else nn.Parameter(weight.detach().float())
            for name, weight in weights.items()
        }
        self._copied = [
            (weight, self.by_name[name])
            for name, weight in weights.items()
            if weight is not self.by_name[name]
        ]

    def take_gradients(self) -> None:
        """Moves the gradients of weights to their copies."""
        for weight, copy in self._copied:
            copy.grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None

    @torch.no_grad()
    def follow(self) -> None:
        """Takes over what was changed in the weights themselves since they were put back."""
        for weight, copy in self._copied:
            moved = weight != copy.to(weight.dtype)
            copy.copy_(torch.where(moved, weight.float(), copy))

    @torch.no_grad()
    def put_back(self) -> None:
        """Rounds the copies into the weights."""
        for weight, copy in self._copied:
            weight.copy_(copy)

    @torch.no_grad()
    def restore(self, values: Mapping[str, Tensor]) -> None:
        """Sets copies and weights to saved values."""
        for name, weight in self.by_name.items():
            weight.copy_(values[name])
        self.put_back()
