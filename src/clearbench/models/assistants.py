"""Composes a model's logits with those of the assistants that its guards bring along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from transformers import DynamicCache

from clearbench.methods.guard import FittedGuard
from clearbench.models.growing_cache import growing
from clearbench.models.weights import Weights


class AssistedCache(DynamicCache):
    """The cache of a model, and one of each assistant that reads the same tokens.

    Attributes:
        others: Caches of the assistants, in the order of the guards.
    """

    def __init__(self, config: Any, assistants: int) -> None:
        super().__init__(config=config)
        self.others = [DynamicCache(config=config) for _ in range(assistants)]
        for cache in (self, *self.others):
            growing(cache)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps these rows alone, in every cache."""
        super().batch_select_indices(indices)
        for other in self.others:
            other.batch_select_indices(indices)

    def of(self, number: int) -> DynamicCache:
        """Returns the cache of the model, 0, or of an assistant, from 1."""
        return self.others[number - 1] if number else self


def composed(
    model: Weights, guards: Sequence[FittedGuard], read: Callable[[int], Tensor]
) -> Tensor:
    """Computes (tokens, vocabulary) logits of a model with the assistants of its guards.

    Args:
        model: Model whose weights are replaced by an assistant's while that one reads.
        guards: Guards with an assistant, in the order in which they compose.
        read: Function that computes the logits of the weights in place; it is given 0 for the
            model's own and 1, 2 and so on for the assistants'.
    """
    logits = read(0)
    for number, guard in enumerate(guards, start=1):
        with model.holding(guard.assistant):
            theirs = read(number)
        logits = guard.compose(logits, theirs)
    return logits
