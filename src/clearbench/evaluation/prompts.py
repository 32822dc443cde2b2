"""What a model is asked: the measured rows and, where a metric needs it, the same rows otherwise.

A row asked otherwise keeps its id; its records stand under a task of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.errors import RecipeError, did_you_mean
from clearbench.evaluation.metrics.keywords import blanked
from clearbench.evaluation.metrics.letter_choice import lettered
from clearbench.evaluation.protocols import Way
from clearbench.evaluation.records import Place

#: Wrong options beside the true one, as in CLEAR's five `perturbed_names`.
WRONG_OPTIONS = 5
LETTER_REQUEST = "Answer with the letter of one option."
BLANK_REQUEST = "Fill in the blank:"


@dataclass(frozen=True)
class Asked:
    """One question that is put to a model.

    Attributes:
        place: (split, track, task) of its records.
        item: Question, true answer and image.
    """

    place: Place
    item: Item


def in_letters(row: Example) -> Item | None:
    """The options as letters in an order drawn from the row's id; the truth is a letter."""
    if row.task not in ("name", "choice") or not row.perturbed_answers:
        return None
    options, letter = lettered(row.answer, row.perturbed_answers[:WRONG_OPTIONS], row.id)
    question = f"{row.question}\n{options}\n{LETTER_REQUEST}"
    return Item(row.id, "letter", question, letter, row.media, row.person, row.track)


def in_other_words(row: Example) -> Item | None:
    """The paraphrased question, where the row has one."""
    if row.paraphrased_question is None:
        return None
    question, about = row.paraphrased_question, (row.media, row.person, row.track)
    return Item(row.id, "paraphrased", question, row.answer, *about)


def with_a_blank(row: Example) -> Item | None:
    """The answer with a blank for its longest run of private words, which is the truth."""
    found = blanked(row.answer, row.question) if row.task in ("qa", "caption") else None
    if found is None:
        return None
    sentence, missing = found
    question = f"{row.question}\n{BLANK_REQUEST} {sentence}"
    return Item(row.id, "cloze", question, missing, row.media, row.person, row.track)


WAYS: dict[Way, Callable[[Example], Item | None]] = {
    "letter": in_letters,
    "paraphrased": in_other_words,
    "cloze": with_a_blank,
}


def ways(names: Iterable[str]) -> tuple[Way, ...]:
    """The ways of these names, each once.

    Raises:
        RecipeError: There is no such way.
    """
    chosen = dict.fromkeys(names)
    for name in chosen:
        if name not in WAYS:
            raise RecipeError(f"no way to ask is called '{name}'", "asks", did_you_mean(name, WAYS))
    return tuple(way for way in WAYS if way in chosen)


def to_speak(
    dataset: Dataset, splits: Sequence[str], spoken: Sequence[str], ways: Sequence[Way]
) -> Iterator[Asked]:
    """Every question that is answered word by word.

    Args:
        dataset: Its measured rows.
        splits: Which of its splits are measured.
        spoken: Which of these are spoken about.
        ways: How rows are asked beside their own question.
    """
    for split in (split for split in splits if split in spoken):
        for row in dataset.evaluation.get(split, ()):
            yield Asked((split, row.track, row.task), item(row))
            for way in ways:
                otherwise = WAYS[way](row)
                if otherwise is not None:
                    yield Asked((split, row.track, way), otherwise)
