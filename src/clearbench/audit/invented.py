"""Asks questions about people under names that nobody bears."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.words import words
from clearbench.people.names import NAMES


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
        found = ((row.id, self.item(row, row.answer)) for row in rows)
        return {name: each for name, each in found if each is not None}

    def item(self, row: Example, text: str) -> Item | None:
        """Returns a row with a text as its answer, under another name; None where none is held."""
        name = self._name(row)
        other = self._invented(name)
        question, answer = (_replaced(each, name, other) for each in (row.question, text))
        if (question, answer) == (row.question, text):
            return None
        changed = row.model_copy(update={"question": question, "answer": answer})
        return item(changed, "renamed")

    def elsewhere(self, row: Example, text: str, other: Example) -> Item:
        """Returns a text about a row's person as the answer to a question about another person.

        The other person's name takes the place of the row's, and of others' whole names.
        """
        theirs = self._name(other).split()
        named = [name for name in self._names.values() if name in text]
        for name in dict.fromkeys((self._name(row), *named)):
            text = _replaced(text, name, theirs)
        return item(other, f"said by {row.id}", text)

    def _name(self, row: Example) -> str:
        return "" if row.person is None else self._names.get(row.person, "")

    def _invented(self, name: str) -> list[str]:
        """Draws a word for each word of a name; nothing where none is free."""
        if not (self._first and self._last):
            return []
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        parts = range(len(name.split()))
        return [str(rng.choice(self._last if k else self._first)) for k in parts]


def _replaced(text: str, name: str, other: Sequence[str]) -> str:
    """Replaces a whole name, then each of its words that stands alone."""
    parts = name.split()
    if not (parts and other):
        return text
    changed = text.replace(name, " ".join(other))
    for place, part in enumerate(parts):
        if len(part) > 1 and part[0].isupper():
            chosen = other[min(place, len(other) - 1)]
            changed = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", chosen, changed)
    return changed


def _texts(row: Example) -> tuple[str, str]:
    return row.question, row.answer
