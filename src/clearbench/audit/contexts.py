"""Finds questions that a text could be a fluent answer to, whether it is true or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from clearbench.audit.invented import Invented
from clearbench.batches.items import Item, item
from clearbench.data.alike import WordVectors
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.words import letters
from clearbench.libraries import sparse
from clearbench.models.base import Model

#: Splits about people, whose rows are compared.
ABOUT = ("forget", "retain", "holdout")
#: Rows of a modality and task that are looked through at most, and those found for a text.
_ROWS, NEAR = 512, 3

#: Modality and task.
Place = tuple[str, str]


class Said(NamedTuple):
    """An answer that a model gave to a row's own question."""

    row: Example
    text: str

    @property
    def place(self) -> Place:
        """Modality and task of the row."""
        return self.row.track, self.row.task


@dataclass(frozen=True)
class _Answers:
    """Rows with their answers as vectors of words, (rows, words)."""

    rows: tuple[Example, ...]
    words: WordVectors
    vectors: sparse.csr_matrix


class Contexts:
    """Asks for the same text by other questions.

    Args:
        model: Model that is asked.
        dataset: Dataset as the model's kind reads it.

    Attributes:
        invented: Names that nobody bears.
    """

    def __init__(self, model: Model, dataset: Dataset) -> None:
        self.invented = Invented(dataset)
        self._answers = {place: _answers(rows) for place, rows in _rows(model, dataset).items()}

    @property
    def rows(self) -> Mapping[Place, Sequence[Example]]:
        """Rows about people, by modality and task."""
        return {place: answers.rows for place, answers in self._answers.items()}

    def own(self, said: Said) -> list[Item]:
        """Returns the text as the answer to its own question."""
        return [item(said.row, "said", said.text)]

    def renamed(self, said: Said) -> list[Item]:
        """Returns it under a name that nobody bears; nothing where no name is held."""
        found = self.invented.item(*said)
        return [] if found is None else [found]

    def near(self, said: Said) -> list[Item]:
        """Returns it as the answer to the questions whose true answers are most like it.

        They are about other people, whose names take the place of the person's.
        """
        answers = self._answers[said.place]
        vector = answers.words.vectors([set(letters(said.text))])
        alike = (answers.vectors @ vector.T).toarray().ravel()
        order = (answers.rows[place] for place in np.argsort(-alike, kind="stable"))
        others = (row for row in order if _another(row, said.row))
        return [self.invented.elsewhere(*said, row) for row in islice(others, NEAR)]


def _another(row: Example, asked: Example) -> bool:
    return row.id != asked.id and (row.person is None or row.person != asked.person)


Ask = Callable[[Said], list[Item]]


def _answers(rows: Sequence[Example]) -> _Answers:
    own = [set(letters(row.answer)) for row in rows]
    words = WordVectors(own)
    return _Answers(tuple(rows), words, words.vectors(own))


def _rows(model: Model, dataset: Dataset) -> dict[Place, list[Example]]:
    """Collects measured rows about people, by modality and task, some of each where many."""
    found: dict[Place, list[Example]] = {}
    for row in chain.from_iterable(dataset.evaluation.get(split, ()) for split in ABOUT):
        if model.accepts(item(row)):
            found.setdefault((row.track, row.task), []).append(row)
    return {place: rows[:: -(-len(rows) // _ROWS)] for place, rows in found.items()}
