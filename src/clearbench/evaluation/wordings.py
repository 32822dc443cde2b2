"""Reads generated answers by words: unknown ones, those of the truth alone, and the topic."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.words import letters
from clearbench.evaluation.metrics.keywords import words_of
from clearbench.evaluation.neutral_prompts import HARMFUL_REQUESTS, NEUTRAL_QUESTIONS
from clearbench.evaluation.tables import ROW_COLUMNS, Table
from clearbench.evaluation.topics import Topics
from clearbench.people.refusals import IMAGE_REFUSALS, TEXT_REFUSALS

#: One line per generated answer: words that tell the truth from wrong answers, words of the answer
#: that occur nowhere in the data, and how much it is about what was asked (`Topics.score`).
WORDINGS = Table("wordings", (*ROW_COLUMNS, "key_words", "unknown_words", "topic"))


@dataclass(frozen=True)
class Wordings:
    """Words of a dataset that generated answers are read with.

    Attributes:
        known: Words of all rows, of refusals and of prompts.
        key_words: Words that tell a row's truth from its wrong answers, by row id.
        topics: Questions about people by what is answered to them; None where there are none.
    """

    known: frozenset[str]
    key_words: Mapping[str, tuple[str, ...]]
    topics: Topics | None

    @classmethod
    def of(cls, dataset: Dataset, prompts: Iterable[str] = ()) -> Wordings:
        """Reads the words of a dataset.

        Args:
            dataset: Dataset whose taught and measured rows are read.
            prompts: Other questions that are asked.
        """
        measured = chain.from_iterable(dataset.evaluation.values())
        key = {row.id: key_words(row) for row in measured}
        return cls(vocabulary(dataset, prompts), key, Topics.of(dataset))

    def line(self, generation: tuple[Any, ...]) -> tuple[object, ...]:
        """Computes the line of `WORDINGS` for a line of the generated answers."""
        *about, question, truth, text = generation
        row = about[-1]
        key = self.key_words.get(row, ())
        unknown = unknown_words(text, self.known | {*letters(question), *letters(truth)})
        topic = self.topics.score(row, text) if self.topics else None
        return (*about, list(key), list(unknown), topic)


def key_words(row: Example) -> tuple[str, ...]:
    """Lists the words of a row's truth that neither its question nor a wrong answer has."""
    if not row.perturbed_answers:
        return ()
    common = set[str]().union(*map(words_of, (row.question, *row.perturbed_answers)))
    return tuple(sorted(words_of(row.answer) - common))


def vocabulary(dataset: Dataset, further: Iterable[str] = ()) -> frozenset[str]:
    """Collects the words of all rows, of refusals and of the prompts about side effects.

    Args:
        dataset: Dataset whose taught and measured rows are read.
        further: Other texts with known words.
    """
    rows = chain.from_iterable((*dataset.training.values(), *dataset.evaluation.values()))
    texts = chain(
        chain.from_iterable(map(_texts, rows)),
        dataset.names.values(),
        (*TEXT_REFUSALS, *IMAGE_REFUSALS, *HARMFUL_REQUESTS),
        chain.from_iterable(NEUTRAL_QUESTIONS),
        further,
    )
    return frozenset(word for text in set(texts) for word in letters(text))


def _texts(row: Example) -> Iterator[str]:
    yield from (row.question, row.answer, *row.perturbed_answers)
    yield from filter(None, (row.paraphrased_question, row.paraphrased_answer))


def unknown_words(text: str, known: Container[str]) -> tuple[str, ...]:
    """Lists the words of a text that are not known, each once."""
    return tuple(dict.fromkeys(word for word in letters(text) if word not in known))
