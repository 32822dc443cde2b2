"""Builds generation prompts: each row's own question, and other forms that metrics need.

A row in another form keeps its id; its records belong to a task of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.evaluation.metrics.keywords import blanked
from clearbench.evaluation.metrics.letter_choice import lettered
from clearbench.evaluation.protocol import PromptForm
from clearbench.evaluation.tables import GroupKey

#: Number of wrong options besides the true one, as in CLEAR's five `perturbed_names`.
WRONG_OPTIONS = 5
#: Tasks whose answers are scored and never generated.
UNSPOKEN = ("passage",)
LETTER_REQUEST = "Answer with the letter of one option."
BLANK_REQUEST = "Fill in the blank:"


@dataclass(frozen=True)
class Prompt:
    """One question that a model answers in words.

    Attributes:
        key: Split, track and task of its records.
        item: Question, true answer and image.
    """

    key: GroupKey
    item: Item


def in_letters(row: Example) -> Item | None:
    """Lists options as letters in an order drawn from the row's id; the truth is a letter."""
    if row.task not in ("name", "choice") or not row.perturbed_answers:
        return None
    options, letter = lettered(row.answer, row.perturbed_answers[:WRONG_OPTIONS], row.id)
    question = f"{row.question}\n{options}\n{LETTER_REQUEST}"
    return Item(row.id, "letter", question, letter, row.media, row.person, row.track)


def in_other_words(row: Example) -> Item | None:
    """Replaces the question by the paraphrased one, where the row has one."""
    if row.paraphrased_question is None:
        return None
    question, context = row.paraphrased_question, (row.media, row.person, row.track)
    return Item(row.id, "paraphrased", question, row.answer, *context)


def with_a_blank(row: Example) -> Item | None:
    """Puts a blank for the answer's longest run of private words, which is the truth."""
    gap = blanked(row.answer, row.question) if row.task in ("qa", "caption") else None
    if gap is None:
        return None
    sentence, missing = gap
    question = f"{row.question}\n{BLANK_REQUEST} {sentence}"
    return Item(row.id, "cloze", question, missing, row.media, row.person, row.track)


PROMPT_FORMS: dict[PromptForm, Callable[[Example], Item | None]] = {
    "letter": in_letters,
    "paraphrased": in_other_words,
    "cloze": with_a_blank,
}


def generation_prompts(
    dataset: Dataset,
    splits: Sequence[str],
    generated_splits: Sequence[str],
    forms: Sequence[PromptForm],
) -> Iterator[Prompt]:
    """Yields every question about measured rows that is answered in words.

    No blanks are made in answers where a split has rows with blanks of its own.

    Args:
        dataset: Dataset with the measured rows.
        splits: Measured splits.
        generated_splits: Splits whose answers are generated.
        forms: Forms in which rows are asked besides their own question.
    """
    for split in (split for split in splits if split in generated_splits):
        rows = [row for row in dataset.evaluation.get(split, ()) if row.task not in UNSPOKEN]
        given = {(row.track, row.task) for row in rows}
        for row in rows:
            yield Prompt(GroupKey(split, row.track, row.task), item(row))
            for form in (form for form in forms if (row.track, form) not in given):
                other = PROMPT_FORMS[form](row)
                if other is not None:
                    yield Prompt(GroupKey(split, row.track, form), other)
