"""Finds how likely true answers are to somebody who does not know, without a gold model.

People whom the model was never taught show it best. Where there are none, the same questions and
answers are asked under names that nobody bears: what the model makes of them is a guess. Rows
without a name are paired with the answers to other questions.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.words import words
from clearbench.evidence.schema import FloorSource
from clearbench.models.base import Model
from clearbench.people.names import NAMES

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


class Invented:
    """Replaces the names of people by names that no row of a dataset holds.

    Args:
        dataset: Dataset whose names and words are not used.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._names = dataset.names
        texts = (text for rows in dataset.all_rows() for row in rows for text in _texts(row))
        self._taken = {word for text in (*texts, *dataset.names.values()) for word in words(text)}
        pools = NAMES.values()
        self._first = self._free(name for pool in pools for name in (*pool.female, *pool.male))
        self._last = self._free(name for pool in pools for name in pool.last)

    def _free(self, names: Iterable[str]) -> list[str]:
        return [name for name in dict.fromkeys(names) if not {*words(name)} & self._taken]

    def renamed(self, rows: Sequence[Example]) -> dict[str, Item]:
        """Returns the items of the rows that hold their person's name, under another, by id."""
        found: dict[str, Item] = {}
        if not (self._first and self._last):
            return found
        for row in rows:
            name = "" if row.person is None else self._names.get(row.person, "")
            question, answer = (self._replaced(text, name) for text in (row.question, row.answer))
            if (question, answer) != (row.question, row.answer):
                changed = row.model_copy(update={"question": question, "answer": answer})
                found[row.id] = item(changed, "renamed")
        return found

    def _replaced(self, text: str, name: str) -> str:
        """Replaces a whole name, then each of its words that stands alone."""
        parts = name.split()
        if not parts:
            return text
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        chosen = [str(rng.choice(self._last if k else self._first)) for k in range(len(parts))]
        changed = text.replace(name, " ".join(chosen))
        for part, other in zip(parts, chosen, strict=True):
            if len(part) > 1 and part[0].isupper():
                changed = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", other, changed)
        return changed


def _texts(row: Example) -> tuple[str, str]:
    return row.question, row.answer


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
