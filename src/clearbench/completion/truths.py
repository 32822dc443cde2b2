"""Remembers what is true of each person, so that no wrong answer is true by accident."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from clearbench.data.examine import one_spelling
from clearbench.data.example import Example
from clearbench.data.words import words

_YEAR = re.compile(r"\b\d{4}\b")


class Truths:
    """Everything that rows say of each person.

    Args:
        rows: All rows of a dataset.
    """

    def __init__(self, rows: Iterable[Example]) -> None:
        self._said: dict[int | None, set[str]] = defaultdict(set)
        self._sentences: dict[int | None, set[str]] = defaultdict(set)
        for row in rows:
            true = (row.question, row.answer, row.paraphrased_question, row.paraphrased_answer)
            for text in filter(None, true):
                self._said[row.person].add(f" {' '.join(words(text))} ")
                self._sentences[row.person].add(one_spelling(text))

    def says(self, person: int | None, value: str) -> bool:
        """Whether a value, or a year in it, is in anything that is true of a person."""
        return any(
            f" {' '.join(words(part))} " in text
            for part in (value, *_YEAR.findall(value))
            for text in self._said[person]
        )

    def is_told(self, person: int | None, sentence: str) -> bool:
        """Whether a whole sentence is true of a person, in whatever spelling."""
        return one_spelling(sentence) in self._sentences[person]
