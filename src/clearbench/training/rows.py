"""Gives all training rows of roles, shuffled, for statistics, edits and guards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.modality import modalities
from clearbench.models.base import Model
from clearbench.training.roles import DERIVED, OF_RETAIN, Roles

#: Number that sets the order of these batches apart from other random choices of a run.
_SHUFFLES = 11


@dataclass(frozen=True)
class TrainingRows:
    """The rows that `Method.prepare` and `Edit` functions read (`clearbench.methods.step.Data`).

    Attributes:
        tracks: Tracks of the forget rows; retain rows are of every track.
        size: Number of rows of a batch.
        seed: Seed of the run.
        start: Trained weights before the first stage, for an edit that compares with them.
        state: State of the method after the stages before.
    """

    model: Model
    dataset: Dataset
    tracks: Sequence[str]
    size: int
    seed: int
    start: Mapping[str, Tensor] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """The names of the people to forget, in alphabetical order."""
        return tuple(sorted(self.dataset.names[person] for person in self.dataset.people("forget")))

    @property
    def readable_tracks(self) -> tuple[str, ...]:
        """Those of `tracks` on which the model can read a forget row."""
        return tuple(track for track in self.tracks if self._readable("forget", (track,)))

    def items(self, role: str) -> list[Item]:
        """Selects every row of a role that the model can read."""
        every: Sequence[str] = tuple(modalities())
        retained = role in ("retain", *OF_RETAIN)
        tracks = every if retained else self.tracks
        if role == "spared":
            tracks = [track for track in every if track not in self.tracks]
        chosen = self._readable("retain" if retained else "forget", tracks)
        if role in DERIVED + OF_RETAIN:
            return Roles(self.model, self.dataset).of(role, chosen, self.seed, 0)
        return chosen

    def _readable(self, split: str, tracks: Sequence[str]) -> list[Item]:
        examples = self.dataset.train_rows(split, tracks)
        rows = [item(example) for example in examples if not example.held_out]
        return [row for row in rows if self.model.accepts(row)]

    def batches(self, *roles: str, sees: bool | None = None) -> Iterator[Sequence[Batch]]:
        """Yields every row of the roles once, mixed and shuffled, in batches of `size`."""
        items = [row for role in roles for row in self.items(role)]
        items = [row for row in items if sees in (None, row.media is not None)]
        order = np.random.default_rng([self.seed, _SHUFFLES]).permutation(len(items))
        shuffled = [items[place] for place in order]
        for begin in range(0, len(shuffled), self.size):
            yield self.model.batch(shuffled[begin : begin + self.size])
