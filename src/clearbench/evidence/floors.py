"""Finds how likely true answers are to somebody who does not know, without a gold model.

People whom the model was never taught show it best. Where there are none, the same questions and
answers are asked under names that nobody bears: what the model makes of them is a guess. Rows
without a name are paired with the answers to other questions.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clearbench.audit.invented import Invented
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.evidence.schema import FloorSource
from clearbench.models.base import Model

#: Share of rows that hold their person's name from which names are replaced.
NAMED = 0.5
#: Rows that a floor is measured on at most.
ROWS = 64


@dataclass(frozen=True)
class Floor:
    """Log-probabilities of what the model before unlearning cannot know.

    Attributes:
        source: Where they are from.
        mean: Mean log-probability per token, in nats.
        by_row: The same for each row to forget that has one of its own, by id.
    """

    source: FloorSource
    mean: float
    by_row: Mapping[str, float]

    def of(self, row: Example) -> float:
        """Returns the floor of a row, or the mean where it has none of its own."""
        return self.by_row.get(row.id, self.mean)


def measured_floor(model: Model, dataset: Dataset, rows: Sequence[Example]) -> Floor:
    """Measures the floor of rows to forget, of one modality, with the model before unlearning.

    Args:
        model: Model before unlearning.
        dataset: Dataset of the rows.
        rows: Rows to forget.
    """
    track, task = rows[0].track, rows[0].task
    strangers = [
        row
        for row in dataset.evaluation.get("holdout", ())
        if (row.track, row.task) == (track, task) and model.accepts(item(row))
    ][:ROWS]
    if strangers:
        return Floor("holdout", float(np.mean(log_probs(model, map(item, strangers)))), {})
    renamed = Invented(dataset).renamed(rows)
    if len(renamed) >= NAMED * len(rows):
        return _paired(model, "invented names", renamed)
    return _paired(model, "other answers", _exchanged(dataset, rows))


def log_probs(model: Model, items: Iterable[Item]) -> list[float]:
    """Computes the mean log-probability per token of each item's answer, in nats."""
    every = list(items)
    with model.measured():
        readings = model.score_items(list(dict.fromkeys(every)))
    return [float(readings[each].log_probs.mean(dtype=np.float64)) for each in every]


def _paired(model: Model, source: FloorSource, items: Mapping[str, Item]) -> Floor:
    values = dict(zip(items, log_probs(model, [*items.values()]), strict=True))
    return Floor(source, float(np.mean([*values.values()])), values)


def _exchanged(dataset: Dataset, rows: Sequence[Example]) -> dict[str, Item]:
    """Gives each row the answer of another row, of other people where there are any."""
    every = [
        other
        for split in ("retain", "forget")
        for other in dataset.train_rows(split, (rows[0].track,))
        if other.task == rows[0].task
    ]
    found: dict[str, Item] = {}
    for row in rows:
        wrong = [other for other in every if other.answer != row.answer]
        strange = [other for other in wrong if other.person != row.person] or wrong
        if strange:
            rng = np.random.default_rng(zlib.crc32(row.id.encode()))
            found[row.id] = item(row, "exchanged", strange[int(rng.integers(len(strange)))].answer)
    return found or {row.id: item(row) for row in rows}
