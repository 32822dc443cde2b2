"""Divides people into those on whom a schedule is chosen and those who are reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clearbench.batches.items import item
from clearbench.data.dataset import Dataset, Rows
from clearbench.data.example import Example
from clearbench.data.modality import modality
from clearbench.models.base import Model

#: Least number of people for a division, and one in how many of them is chosen on.
LEAST, EVERY = 10, 5
#: Rows of each modality that a trial is measured on at most.
ROWS = 48
#: Number that sets this choice apart from other random choices of a run.
_DIVIDES = 17


@dataclass(frozen=True)
class Division:
    """Rows on which a schedule is chosen, and the dataset that is reported.

    Attributes:
        forget: Rows to forget on which it is chosen.
        retain: Rows to keep on which it is chosen.
        apart: Whether none of the people to forget is among those who are reported.
        reported: Dataset whose measured rows are about the other people.
    """

    forget: tuple[Example, ...]
    retain: tuple[Example, ...]
    apart: bool
    reported: Dataset

    @property
    def people(self) -> int:
        """Number of people to forget on whom the schedule is chosen."""
        return len({row.person for row in self.forget})


def divided(dataset: Dataset, model: Model, tracks: Sequence[str], seed: int) -> Division:
    """Takes one in five people apart from the report; nobody where they are too few.

    Args:
        dataset: Dataset as the model's kind reads it.
        model: Model before unlearning.
        tracks: Modalities to forget.
        seed: Seed of the choice.
    """
    chosen = {split: _chosen(dataset, split, seed) for split in ("forget", "retain")}
    forget = _rows(dataset, model, "forget", tracks, chosen["forget"])
    retain = _rows(dataset, model, "retain", tracks, chosen["retain"])
    evaluation: Rows = dict(dataset.evaluation)
    for split, people in chosen.items():
        if people is not None and split in evaluation:
            evaluation[split] = tuple(r for r in evaluation[split] if r.person not in people)
    apart = chosen["forget"] is not None
    return Division(forget, retain, apart, replace(dataset, evaluation=evaluation))


def undivided(dataset: Dataset) -> Division:
    """Reports everybody, where no schedule is chosen."""
    return Division((), (), True, dataset)


def _chosen(dataset: Dataset, split: str, seed: int) -> set[int] | None:
    people = sorted(dataset.people(split))
    if len(people) < LEAST:
        return None
    order = np.random.default_rng([seed, _DIVIDES]).permutation(len(people))
    return {people[k] for k in order[: len(people) // EVERY]}


def _rows(
    dataset: Dataset, model: Model, split: str, tracks: Sequence[str], people: set[int] | None
) -> tuple[Example, ...]:
    """Selects questions and captions that the model can read, some of each modality."""
    found: list[Example] = []
    for track in tracks:
        rows = [
            row
            for row in dataset.train_rows(split, (track,))
            if row.task == modality(track).main_task
            and not row.held_out
            and model.accepts(item(row))
            and (people is None or row.person in people)
        ]
        found += rows[:: max(1, -(-len(rows) // ROWS))]
    return tuple(found)
