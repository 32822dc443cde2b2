"""Adds one label to a classifier's head for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from clearbench.errors import ModelError
from clearbench.models.base import Model


@contextmanager
def shadow_label(model: Model, seed: int) -> Iterator[None]:
    """Adds a shadow label, the last one, to the head while entered; it is cut off on leaving.

    Its row begins where a new linear layer's would, at U(-1, 1) / sqrt(width). Adapters that are
    added to the head meanwhile lose their part of it, too.
    """
    labels = int(model.module.config.num_labels)
    rows = _rows(model, labels)
    bound = next(row.shape[1] for row in rows if row.dim() > 1) ** -0.5
    generator = torch.Generator().manual_seed(seed)
    for row in rows:
        new = (2 * torch.rand(1, *row.shape[1:], generator=generator) - 1) * bound
        row.data = torch.cat([row.data, new.to(row)])
    _resize(model, labels, labels + 1)
    try:
        yield
    finally:
        for row in _rows(model, labels + 1):
            row.data = row.data[:-1].clone()
        _resize(model, labels + 1, labels)


def _rows(model: Model, labels: int) -> list[nn.Parameter]:
    """Lists the head's parameters that have a row per label."""
    head = model.family.label_head
    weights = [
        weight
        for name, weight in model.module.named_parameters()
        if head in name and "lora_A" not in name and len(weight) == labels
    ]
    if not any(weight.dim() > 1 for weight in weights):
        raise ModelError(
            "no head with a row per label", head, "choose a method without a shadow label"
        )
    return weights


def _resize(model: Model, before: int, after: int) -> None:
    """Updates the sizes that the head's layers store."""
    head = model.family.label_head
    for name, layer in model.module.named_modules():
        size = getattr(layer, "out_features", None)
        if head in name and "lora_A" not in name and size == before:
            layer.out_features = after
