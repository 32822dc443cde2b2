"""Chooses how many micro-batches a step is cut into, by what its activations take in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

from clearbench.batches.items import Item
from clearbench.models.base import Model
from clearbench.processes import processes
from clearbench.training.gradients import MicroBatch
from clearbench.training.settings import TrainSettings
from clearbench.training.shares import Part, cut_micro_batches

#: Bytes of weights below which a step is cut only where the settings say so: libraries take more
#: memory than its activations.
CUT_FROM = 256 * 2**20
#: Largest size of what a micro-batch keeps for its gradient, as a share of the weights.
KEPT_SHARE = 0.5
#: Tokens below which a micro-batch is not cut: with fewer, reading the weights and small products
#: take longer than what is computed.
LEAST_TOKENS = 192
#: Gradients that a cut step holds besides the summed one: of two terms, and of one micro-batch.
EXTRA_GRADIENTS = 3


@dataclass(frozen=True)
class LargestMicroBatch:
    """The micro-batch of a step that has most tokens.

    Attributes:
        rows: Its rows, of all roles.
        count: Number of micro-batches of the step.
        kept: Bytes that it keeps for its gradient.
        terms: Number of its terms, of all parts of the rows.
    """

    rows: Sequence[Item]
    count: int
    kept: int
    terms: int


class _Kept:
    """A tensor that a graph keeps for its gradient."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def kept_bytes(held: Iterable[Tensor], compute: Callable[[], Any]) -> int:
    """Counts the bytes that a computation keeps for its gradient, besides what is held anyhow.

    Args:
        held: Weights, and casts of them, that are there anyhow.
        compute: Function that returns tensors with gradient.
    """
    kept: WeakSet[_Kept] = WeakSet()

    def keep(saved: Tensor) -> _Kept:
        holder = _Kept(saved.detach())  # an output would keep the graph that keeps it, for ever
        kept.add(holder)
        return holder

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda holder: holder.tensor):
        result = compute()  # whose graph is alive while it is counted
    weights = {_storage(weight)[0] for weight in held}
    sizes = dict(_storage(holder.tensor) for holder in kept)
    del result
    return sum(size for place, size in sizes.items() if place not in weights)


def _storage(tensor: Tensor) -> tuple[int, int]:
    """Where a tensor's memory is, and its bytes."""
    storage = tensor.untyped_storage()
    return storage._cdata, storage.nbytes()


class MicroBatches:
    """Cuts steps so that what a micro-batch keeps for its gradient is at most half the weights.

    What one row of each role keeps is measured before the first step, so that the measurement takes
    no more than the smallest micro-batch; it is taken to rise with the tokens of the rows. Losses
    and gradients are the same however a step is cut. Steps are not cut where the settings say how
    many micro-batches they have, where the model is small, where the gradients of single terms
    would take more than is saved, nor on a GPU, whose memory is there to be used: there they are
    cut when it runs out.

    Args:
        model: Model that is trained.
        settings: Settings, which may say how many micro-batches a step has.
        casts: Casts of frozen weights that are held while it is trained.
    """

    def __init__(self, model: Model, settings: TrainSettings, casts: Iterable[Tensor] = ()) -> None:
        self.model, self.least = model, settings.accumulate or 1
        self._said = settings.accumulate is not None
        self._held = [*model.module.parameters(), *casts]
        self._weights = sum(weight.nbytes for weight in model.module.parameters())
        self._learned = sum(weight.nbytes for weight in model.trainable().values())
        self._per_token: float | None = None

    def measure(
        self,
        parts: Sequence[Part],
        roles: Sequence[str],
        losses: Callable[[Sequence[Part]], MicroBatch],
    ) -> None:
        """Measures what rows keep, where the model is so large that it matters.

        Args:
            parts: Rows of a step: the same ones however often a run is resumed.
            roles: Roles that the loss reads.
            losses: Function that makes the computation of the losses of some of the rows.
        """
        place = self.model.foreseen_on or self.model.device
        small = self._weights < CUT_FROM or _most(parts, roles) < 2
        if self._said or small or place.type != "cpu":
            return
        few = [
            Part(part.share, {role: rows[:1] for role, rows in part.drawn.items()})
            for part in parts
        ]
        tokens = sum(self._lengths(few, roles).values())
        self._per_token = max(1, kept_bytes(self._held, losses(few))) / max(1, tokens)

    def count(self, parts: Sequence[Part], roles: Sequence[str]) -> int:
        """Returns the number of micro-batches of a step, at least that of the settings."""
        if self._per_token is None:
            return self.least
        lengths, most = self._lengths(parts, roles), max(self.least, _most(parts, roles))
        room = max(LEAST_TOKENS, KEPT_SHARE * self._weights / self._per_token)

        def tokens(count: int) -> int:
            cuts = count * processes().num_processes
            return max(_cut_lengths(parts, roles, lengths, cuts))

        count = next((k for k in range(self.least, most) if tokens(k) <= room), most)
        saved = self._per_token * (tokens(self.least) - tokens(count))
        return count if self.least > 1 or saved > EXTRA_GRADIENTS * self._learned else 1

    def largest(
        self,
        parts: Sequence[Part],
        roles: Sequence[str],
        count: int,
        losses: Callable[[Sequence[Part]], MicroBatch],
    ) -> LargestMicroBatch:
        """Measures the micro-batch with most tokens, of so many in this process."""
        lengths, terms = self._lengths(parts, roles), list[int]()

        def tokens(rows: Sequence[Part]) -> int:
            return sum(lengths[row] for row in _rows(rows, roles))

        rows = max(cut_micro_batches(parts, count), key=tokens)

        def compute() -> Any:
            result = losses(rows)()
            terms.extend(len(found) for _, found in result)
            return result

        kept = kept_bytes(self._held, compute)
        return LargestMicroBatch(_rows(rows, roles), count, kept, sum(terms))

    def more(self, count: int, parts: Sequence[Part], roles: Sequence[str]) -> int | None:
        """Returns twice as many micro-batches, the least from now on; None if rows do not suffice.

        Processes of a launch would differ in it, and are never given more.
        """
        most = _most(parts, roles)
        if processes().num_processes > 1 or count >= most:
            return None
        self.least = min(most, 2 * count)
        return self.least

    def _lengths(self, parts: Sequence[Part], roles: Sequence[str]) -> dict[Item, int]:
        """Counts the tokens of each row."""
        return {row: len(self.model.tree([row])) for row in {*_rows(parts, roles)}}


def _cut_lengths(
    parts: Sequence[Part], roles: Sequence[str], lengths: Mapping[Item, int], cuts: int
) -> list[int]:
    """Counts the tokens of each of so many micro-batches, of all processes."""
    drawn = [part.drawn.get(role, []) for part in parts for role in roles]
    return [sum(lengths[row] for rows in drawn for row in rows[cut::cuts]) for cut in range(cuts)]


def _rows(parts: Iterable[Part], roles: Sequence[str]) -> list[Item]:
    return [row for part in parts for role in roles for row in part.drawn.get(role, ())]


def _most(parts: Sequence[Part], roles: Sequence[str]) -> int:
    """The number of micro-batches of which each has a row of every role of every part."""
    sizes = [len(rows) for part in parts for role in roles if (rows := part.drawn.get(role))]
    return max(1, min(sizes, default=1) // int(processes().num_processes))
