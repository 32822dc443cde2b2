"""Measures whether an answer is about what was asked, by the question of the nearest row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse

from clearbench.data.alike import WordVectors, letters, unit, words_without
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.modality import modality

#: Modality whose questions differ enough from one another to be told apart by an answer.
TRACK = "text"


@dataclass(frozen=True)
class Topics:
    """Questions about people, and the words in which they are answered.

    A row stands for its true and wrong answers together, without its person's name: their common
    words are those of the topic, while the facts differ.

    Attributes:
        places: Places of the rows by id.
        questions: Vectors of the questions, (rows, words).
        answers: Vectors of the answers, (rows, words).
        words: Vectors of other texts in the words of the answers.
    """

    places: Mapping[str, int]
    questions: sparse.csr_matrix
    answers: sparse.csr_matrix
    words: WordVectors

    @classmethod
    def of(cls, dataset: Dataset) -> Topics | None:
        """Reads all text rows about people; None where there are none."""
        rows = _about_people(dataset)
        if not rows:
            return None
        asked = [words_without(row.question, name) for row, name in rows.values()]
        said = [
            [words_without(text, name) for text in _answers(row)] for row, name in rows.values()
        ]
        words = WordVectors([set[str]().union(*texts) for texts in said])
        sums = [sparse.csr_matrix(words.vectors(texts).sum(axis=0)) for texts in said]
        return cls(
            places={row: place for place, row in enumerate(rows)},
            questions=WordVectors(asked).vectors(asked),
            answers=unit(sparse.vstack(sums, format="csr")),
            words=words,
        )

    def likeness(self, row: str, text: str) -> float | None:
        """Computes how alike a row's question is to that of the row whose answers are nearest.

        Returns:
            The cosine, from 0 to 1 (the row's own, or one that is asked in the same words); 0 for a
            text without a word of any answer; None for a row that is no text row about a person.
        """
        place = self.places.get(row)
        if place is None:
            return None
        near = (self.answers @ self.words.vectors([set(letters(text))]).T).toarray().ravel()
        if near.max(initial=0.0) <= 0:
            return 0.0
        pair = self.questions[int(near.argmax())] @ self.questions[place].T
        return float(np.clip(pair.toarray().item(), 0, 1))


def _about_people(dataset: Dataset) -> dict[str, tuple[Example, str]]:
    """Finds the text rows about people and the people's names, measured rows first."""
    every = chain.from_iterable((*dataset.evaluation.values(), *dataset.training.values()))
    found: dict[str, tuple[Example, str]] = {}
    for row in every:
        if row.person is not None and (row.track, row.task) == (TRACK, modality(TRACK).main_task):
            found.setdefault(row.id, (row, dataset.names.get(row.person, "")))
    return found


def _answers(row: Example) -> list[str]:
    return [row.answer, *filter(None, [row.paraphrased_answer]), *row.perturbed_answers]
