"""Measures whether an answer is about what was asked, by the row whose answers are nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from clearbench.data.alike import WordVectors, words_without
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.modality import modality
from clearbench.data.words import letters
from clearbench.libraries import sparse

#: Decimals of a likeness; smaller differences are rounding.
_DIGITS = 9
#: Modality whose questions differ enough from one another to be told apart by an answer.
TRACK = "text"


@dataclass(frozen=True)
class Topics:
    """Questions about people, and the words in which they are answered.

    A row stands for its true and wrong answers together, without its person's name: their common
    words are those of the topic, while the facts differ.

    Attributes:
        places: Places of the rows by id.
        answers: Vectors of the answers, (rows, words).
        rows: Vectors of questions and answers side by side, (rows, words of both).
        words: Vectors of other texts in the words of the answers.
    """

    places: Mapping[str, int]
    answers: sparse.csr_matrix
    rows: sparse.csr_matrix
    words: WordVectors

    @classmethod
    def of(cls, dataset: Dataset) -> Topics | None:
        """Reads all text rows about people; None where there are none, or no words but names."""
        from sklearn.preprocessing import normalize

        rows = _about_people(dataset)
        if not rows:
            return None
        asked = [words_without(row.question, name) for row, name in rows.values()]
        said = [
            [words_without(text, name) for text in _answers(row)] for row, name in rows.values()
        ]
        if not any(chain.from_iterable(said)):
            return None
        words = WordVectors([set[str]().union(*texts) for texts in said])
        ends = np.cumsum([0, *map(len, said)])
        own = sparse.csr_matrix((np.ones(ends[-1]), np.arange(ends[-1]), ends))
        answers = normalize(own @ words.vectors(list(chain.from_iterable(said))))
        questions = WordVectors(asked).vectors(asked)
        places = {row: place for place, row in enumerate(rows)}
        both = sparse.hstack([questions, answers], format="csr")
        return cls(places=places, answers=answers, rows=both, words=words)

    def score(self, row: str, text: str) -> float | None:
        """Computes how much a text is about what a row asks.

        The row whose answers are nearest to the text is looked for, and the share of the other rows
        that are less like the asked one, in question and answers, than that row is.

        Returns:
            Twice the share less 1: 1 for an answer to the row's own question or to the one most
            like it, 0 for one drawn at random, and for a text without a word of any answer; None
            for a row that is no text row about a person.
        """
        asked = self.places.get(row)
        if asked is None:
            return None
        near = (self.answers @ self.words.vectors([set(letters(text))]).T).toarray().ravel()
        if near.max(initial=0.0) <= 0:
            return 0.0
        nearest = int(near.round(_DIGITS).argmax())
        if nearest == asked or len(self.places) == 1:
            return 1.0
        alike = (self.rows @ self.rows[asked].T).toarray().ravel().round(_DIGITS)
        others = np.delete(alike, [asked, nearest])
        return float(2 * (others < alike[nearest]).mean() - 1) if len(others) else 1.0


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
