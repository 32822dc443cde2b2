"""Attributes an answer to neurons, layer by layer along a path from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clearbench.libraries import torch
from clearbench.methods.losses import cross_entropy
from clearbench.methods.neurons import neuron_count, scaled
from clearbench.methods.step import Batches, Model

if TYPE_CHECKING:
    from torch import Tensor

#: Places of chosen neurons by the name of their outgoing matrix, the lowest layer first.
Path = dict[str, "Tensor"]


def influential_path(
    model: Model,
    row: Batches,
    matrices: Sequence[str],
    neurons: int,
    increments: int,
    *,
    squared: bool,
) -> Path:
    """Chooses each layer's neurons of the largest attribution, given those of the layers below.

    Args:
        model: Model with the neurons.
        row: A row whose answer is attributed.
        matrices: Names of outgoing matrices, the lowest layer first.
        neurons: Number of neurons chosen of each layer.
        increments: Number of levels, from 0, at which gradients are taken.
        squared: True for the integral of squared gradients, in place of that of gradients.
    """
    path: Path = {}
    for name in matrices:
        found = attribution(model, row, name, path, increments, squared=squared)
        path[name] = found.topk(min(neurons, len(found))).indices
    return path


def attribution(
    model: Model, row: Batches, name: str, path: Path, increments: int, *, squared: bool
) -> Tensor:
    """The (neurons,) mean over levels a of d log p / d a, or of its square.

    The outgoing weights of all neurons of `name`, and of those on the path, are multiplied by the
    level, so that its derivative is the sum over places of activation times gradient.
    """
    weights = dict(model.module.named_parameters())
    total = torch.zeros(neuron_count(model, name), device=weights[name].device)
    for increment in range(increments):
        level = increment / increments
        own = torch.full_like(total, level).requires_grad_()
        factors = {name: own}
        for below, places in path.items():
            ones = torch.ones(neuron_count(model, below), device=total.device)
            factors[below] = ones.index_fill(0, places, level)
        held = {n: scaled(model, n, weights[n].detach(), f) for n, f in factors.items()}
        with model.holding(held):
            loss = cross_entropy(model.answers(row)).mean
        (slope,) = torch.autograd.grad(loss, own, materialize_grads=True)
        total += slope.square() if squared else -slope
        model.backwards += 1
    return total / increments
