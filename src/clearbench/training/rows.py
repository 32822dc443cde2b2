"""All training rows in a fixed order, for statistics, edits and guards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.modality import modalities
from clearbench.models.base import Model
from clearbench.training.roles import DERIVED, Roles


@dataclass(frozen=True)
class TrainingRows:
    """What `Method.prepare` and `Edit` functions read (`clearbench.methods.step.Data`).

    Attributes:
        tracks: Of the forget rows; retain rows are of every track.
        size: Rows of a batch.
        start: The weights that learn, before the first stage, where an edit looks back.
        state: The method's, as the stages before left it.
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
        """Those of `tracks` on which the model can read something to forget."""
        return tuple(track for track in self.tracks if self._readable("forget", (track,)))

    def items(self, role: str) -> list[Item]:
        """Every row of a role that the model can read."""
        every: Sequence[str] = tuple(modalities())
        tracks = every if role in ("retain", "spared") else self.tracks
        if role == "spared":
            tracks = [track for track in every if track not in self.tracks]
        chosen = self._readable("retain" if role == "retain" else "forget", tracks)
        if role in DERIVED:
            return Roles(self.model, self.dataset).of(role, chosen, self.seed, 0)
        return chosen

    def _readable(self, split: str, tracks: Sequence[str]) -> list[Item]:
        rows = [item(row) for row in self.dataset.train_rows(split, tracks) if not row.held_out]
        return [each for each in rows if self.model.accepts(each)]

    def batches(self, role: str) -> Iterator[Sequence[Batch]]:
        """Every row of a role once, in batches of `size`."""
        items = self.items(role)
        for begin in range(0, len(items), self.size):
            yield self.model.batch(items[begin : begin + self.size])
