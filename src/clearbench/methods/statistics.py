"""Computes statistics of gradients over sets of rows, and masks from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from clearbench.batches.answers import Answers
from clearbench.libraries import torch
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.step import Batches, Model, State

if TYPE_CHECKING:
    from torch import Tensor

#: Prefix of the masks in a method's state: 1 for an entry that is trained.
MASK = "mask|"


def importance(
    model: Model,
    batches: Iterable[Batches],
    measure: Callable[[Tensor], Tensor] = lambda gradient: gradient.square(),
    loss: Callable[[Answers], Term] = cross_entropy,
) -> State:
    """Computes the mean over batches of `measure` of each batch's gradient, for trained weights.

    The square gives the diagonal of the empirical Fisher matrix on batches, as SSD and
    MMUnlearner use it (it depends on the batch size); the identity gives the mean gradient.
    """
    weights = model.trainable()
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = 0
    for group in batches:
        mean = loss(model.answers(group)).mean
        parts = torch.autograd.grad(mean, list(weights.values()), materialize_grads=True)
        for total, part in zip(sums.values(), parts, strict=True):
            total += measure(part)
        model.backwards += 1
        count += 1
    return {name: total / max(1, count) for name, total in sums.items()}


def largest(values: State, share: float) -> State:
    """Makes boolean masks, named `MASK` + name, of the largest `share` of entries over all tensors.

    At least one entry is chosen. Of equal entries the first ones are, so that the share is kept
    where most entries are 0.
    """
    everything = torch.cat([value.flatten() for value in values.values()])
    count = max(1, round(share * len(everything)))
    threshold = everything.kthvalue(len(everything) - count + 1).values
    above, equal = everything > threshold, everything == threshold
    chosen = above | (equal & (equal.cumsum(0) <= count - above.sum()))
    parts = chosen.split([value.numel() for value in values.values()])
    return {
        MASK + name: part.view_as(value)
        for (name, value), part in zip(values.items(), parts, strict=True)
    }


def saliency_mask(model: Model, forget: Iterable[Batches], share: float) -> State:
    """Makes a mask that lets only the weights learn that the forget loss depends on most (SalUn).

    |mean gradient of the forget loss|, ranked over all weights together as in the paper
    (arXiv 2310.12508; errata E63: the published code ranks tensor by tensor).
    """
    gradients = importance(model, forget, measure=lambda gradient: gradient)
    return largest({name: value.abs() for name, value in gradients.items()}, share)
