"""Computes in bfloat16 under autocast, with matrices that are not trained cast once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from clearbench.models.base import Model


class Autocast:
    """Autocast to bfloat16 over a model, whose frozen matrices are cast once.

    Autocast keeps its cast of a weight until the end of a step only where the weight is trained: a
    frozen one is cast at every use, and each cast is kept for the gradient. The products are the
    same. An embedding is no product, and keeps its own type with every head that is tied to it; so
    does a vision tower, whose features may be stored and are then computed in its own type.

    On torch's device without memory, which has no autocast, all is computed in float32.

    Args:
        model: Model whose frozen weights stay as they are from here on.
    """

    def __init__(self, model: Model) -> None:
        module = model.module
        self._device = next(module.parameters()).device.type
        embedded = {
            weight
            for layer in module.modules()
            if isinstance(layer, nn.Embedding)
            for weight in layer.parameters()
        }
        frozen = {
            weight
            for name, layer in module.named_modules()
            if type(layer) is nn.Linear and model.part_of(name) != "vision"
            for weight in layer.parameters(recurse=False)
            if _is_cast(weight)
        }
        self._casts = [(w, w.data, w.data.to(torch.bfloat16)) for w in frozen - embedded]

    @property
    def casts(self) -> list[Tensor]:
        """The frozen matrices in bfloat16."""
        return [cast for _, _, cast in self._casts]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Computes in bfloat16; the frozen matrices are the casts while entered."""
        if self._device == "meta":
            yield
            return
        for weight, _, cast in self._casts:
            weight.data = cast
        try:
            with torch.autocast(self._device, torch.bfloat16):
                yield
        finally:
            for weight, whole, _ in self._casts:
                weight.data = whole


def _is_cast(weight: Tensor) -> bool:
    """Whether autocast casts a weight at every use: it is frozen, in float32 and whole."""
    held = weight.data
    return not weight.requires_grad and held.dtype == torch.float32 and type(held) is Tensor
