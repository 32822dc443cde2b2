"""Statistics of gradients over whole sets of rows: what masks and edits are decided on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.step import Batches, Model, State

#: Prefix under which the loop looks for masks in a method's state: 1 where a weight may learn.
MASK = "mask|"


def importance(
    model: Model,
    batches: Iterable[Batches],
    measure: Callable[[Tensor], Tensor] = torch.square,
    loss: Callable[[Answers], Term] = cross_entropy,
) -> State:
    """Mean over batches of `measure` of each batch's gradient, for every weight that learns.

    `torch.square` gives the diagonal of the empirical Fisher matrix on batches, as SSD and
    MMUnlearner use it (it depends on the batch size); the identity gives the mean gradient.
    """
    weights = model.trainable()
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = 0
    for each in batches:
        mean = loss(model.answers(each)).mean
        parts = torch.autograd.grad(mean, list(weights.values()), materialize_grads=True)
        for total, part in zip(sums.values(), parts, strict=True):
            total += measure(part)
        model.backwards += 1
        count += 1
    return {name: total / max(1, count) for name, total in sums.items()}


def of_track(batches: Iterable[Batches], *, sees: bool) -> Iterator[Batches]:
    """Only the rows with an image, or only those without; groups that have none are left out."""
    for each in batches:
        chosen = [batch for batch in each if bool(batch.media) is sees]
        if chosen:
            yield chosen


def largest(values: State, share: float) -> State:
    """Masks, as `MASK` + name, of the given share of all entries: one ranking over everything.

    At least one entry is chosen. Ties at the threshold are all chosen.
    """
    everything = torch.cat([value.flatten() for value in values.values()])
    chosen = max(1, round(share * len(everything)))
    threshold = everything.kthvalue(len(everything) - chosen + 1).values
    return {MASK + name: value >= threshold for name, value in values.items()}


def saliency_mask(model: Model, forget: Iterable[Batches], share: float) -> State:
    """The weights that the forget loss depends on most: SalUn's mask.

    |sum of the gradients of the forget loss|, ranked over all weights together as in the paper
    (arXiv 2310.12508), not tensor by tensor (errata E63).
    """
    gradients = importance(model, forget, measure=lambda gradient: gradient)
    return largest({name: value.abs() for name, value in gradients.items()}, share)
