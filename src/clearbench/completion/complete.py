"""Completes rows: paraphrases and wrong answers where there are none, each with its origin."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.random import default_rng

from clearbench.completion.questions import is_english, paraphrased_question
from clearbench.completion.wording import paraphrased_answer
from clearbench.completion.writer import (
    ModelWriter,
    Writer,
    cleaned,
    facts,
    fault_of_paraphrase,
    fault_of_wrong,
    request_paraphrase,
    request_wrong,
    room,
)
from clearbench.completion.wrong import WRONG_ANSWERS, Grammar
from clearbench.data.dataset import Dataset
from clearbench.data.examine import origin, several
from clearbench.data.example import Example
from clearbench.data.load import load_dataset
from clearbench.data.origins import FIELDS, Origins
from clearbench.data.persons import given_name
from clearbench.data.splits import Rows
from clearbench.errors import DataError
from clearbench.models.base import Model

#: Requests to a model for one text before its field is left out.
TRIES = 2
_QUESTION, _ANSWER, _WRONG = FIELDS
GRAMMAR = "grammar"


@dataclass(frozen=True)
class Completion:
    """Rows with what was made for them.

    Attributes:
        dataset: The rows.
        origins: By row id, what made each field that was missing.
        left_out: By row id, the fields that nothing could make, with the reason.
        doubts: Sentences about what was made but could not be checked.
    """

    dataset: Dataset
    origins: dict[str, Origins]
    left_out: dict[str, dict[str, str]]
    doubts: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Says which fields were left out and why, with the first rows, and what is doubtful."""
        rows: dict[str, list[str]] = defaultdict(list)
        where = {row.id: origin(row) for held in self.dataset.all_rows() for row in held}
        for key, fields in self.left_out.items():
            for field, why in fields.items():
                rows[f"{field} is left out, {why}"].append(where[key])
        return [*(f"{why}: {several(found)}" for why, found in rows.items()), *self.doubts]

    def counts(self, field: str) -> Counter[str]:
        """Counts the rows of a field by what made it, `given` and `left out` among them."""
        rows = {row.id: row for held in self.dataset.all_rows() for row in held}
        return Counter(self._maker(row, field) for row in rows.values())

    def _maker(self, row: Example, field: str) -> str:
        if field in self.origins.get(row.id, {}):
            return self.origins[row.id][field].partition(":")[0]
        if field in self.left_out.get(row.id, {}):
            return "left out"
        return "given" if getattr(row, field) else "not asked for"


def complete(
    rows: Any,
    writer: Writer | Model | None = None,
    writer_name: str = "model",
    seed: int = 0,
    on_row: Callable[[int, int], None] | None = None,
) -> Completion:
    """Makes the paraphrases and wrong answers that rows lack.

    The grammar makes what it can; the writer, if there is one, the rest. A wrong answer holds no
    value that any row says of its person, and is no true answer; fields that are there stay.

    Args:
        rows: Own rows, as `load_dataset` takes them: in files or in memory.
        writer: Model that writes what the grammar cannot.
        writer_name: Words for it in the rows' origins.
        seed: Seed of the grammar's draws, beside the row itself.
        on_row: Function that is called with the rows done and all rows.

    Returns:
        The rows with what was made, and what was not, with the reason.

    Raises:
        DataError: A published dataset, whose measured rows are others, or rows that lack nothing.
    """
    dataset = load_dataset(rows)
    writer = ModelWriter(writer) if isinstance(writer, Model) else writer
    by_id = _rows(dataset)
    work = _Work(list(by_id.values()), _names(dataset), seed)
    lacking = [row for row in by_id.values() if any(_lacks(row, field) for field in FIELDS)]
    if not lacking:
        what = "no row lacks a paraphrase or wrong answers"
        raise DataError(what, "the rows given", "use them as they are")
    for number, row in enumerate(lacking, 1):
        by_id[row.id] = work.by_grammar(row, with_wrong=writer is None)
        if writer is not None:
            by_id[row.id] = work.by_writer(by_id[row.id], writer, writer_name)
        if on_row is not None:
            on_row(number, len(lacking))
    changed = replace(
        dataset,
        training=_replaced(dataset.training, by_id),
        evaluation=_replaced(dataset.evaluation, by_id),
    )
    return Completion(changed, work.origins, work.left_out, tuple(work.doubts()))


def _rows(dataset: Dataset) -> dict[str, Example]:
    """Returns each row by its id.

    Raises:
        DataError: A row is measured that is not trained on, as published datasets have them.
    """
    for split, rows in dataset.training.items():
        if split in dataset.evaluation and dataset.evaluation[split] != rows:
            what = "a published dataset has paraphrases and wrong answers of its own"
            raise DataError(what, f"split '{split}'", "give own rows (docs/own-rows.md)")
    return {row.id: row for rows in dataset.all_rows() for row in rows}


def _replaced(splits: Rows, rows: dict[str, Example]) -> Rows:
    return {split: tuple(rows[row.id] for row in held) for split, held in splits.items()}


def _names(dataset: Dataset) -> dict[int, str]:
    """Returns the names that somebody gave."""
    given = ((person, given_name(person, name)) for person, name in dataset.names.items())
    return {person: name for person, name in given if isinstance(name, str)}


def _lacks(row: Example, field: str) -> bool:
    """Whether a field that a row could have is not there; captions are asked for by one text."""
    return not getattr(row, field) and (field != _QUESTION or row.task == "qa")


class _Work:
    """Makes fields row by row.

    Attributes:
        origins: What made each field, by row id.
        left_out: Reasons for fields that were not made, by row id.
    """

    def __init__(self, rows: Sequence[Example], names: dict[int, str], seed: int) -> None:
        self.origins: dict[str, Origins] = {}
        self.left_out: dict[str, dict[str, str]] = {}
        self._grammar = Grammar(rows, names)
        self._unchecked: list[str] = []
        self._seed = seed

    def doubts(self) -> Iterable[str]:
        """Yields a sentence about paraphrases in which no fact could be looked for."""
        if self._unchecked:
            yield (
                f"{len(self._unchecked)} texts of the model have no name, number or date by which "
                f"to see that they still say the same; read them: {', '.join(self._unchecked[:3])}"
            )

    def by_grammar(self, row: Example, *, with_wrong: bool) -> Example:
        """Makes what the grammar can; wrong answers only once the paraphrase is decided."""
        name, english = self._grammar.name(row), is_english(row.question)
        if _lacks(row, _QUESTION):
            made = paraphrased_question(row.question, name) if english else None
            row = self._with(row, _QUESTION, made, GRAMMAR, "no form of a question fits")
        if _lacks(row, _ANSWER):
            made = paraphrased_answer(row.answer, self._grammar.known) if english else None
            row = self._with(row, _ANSWER, made, GRAMMAR, "no phrase of the grammar is in it")
        return self._wrong_by_grammar(row) if with_wrong else row

    def _wrong_by_grammar(self, row: Example) -> Example:
        if not _lacks(row, _WRONG):
            return row
        rng = default_rng([self._seed, zlib.crc32(f"{row.id}\n{row.question}".encode())])
        base = row.paraphrased_answer or row.answer
        made, how = self._grammar.wrong_answers(row, base, rng)
        if not made and base != row.answer:
            made, how = self._grammar.wrong_answers(row, row.answer, rng)
        why = "no value that its question asks for, and no other answers to it"
        return self._with(row, _WRONG, tuple(made), f"{GRAMMAR}: {how}", why)

    def by_writer(self, row: Example, writer: Writer, name: str) -> Example:
        """Lets a writer make what is still missing, the wrong answers last."""
        for field, first, what in (
            (_QUESTION, row.question, "question"),
            (_ANSWER, row.answer, "answer"),
        ):
            if _lacks(row, field):
                text, fault = self._paraphrase(writer, first, what)
                row = self._with(row, field, text, name, f"{name}: {fault}")
                if text and not facts(first, self._grammar.known):
                    self._unchecked.append(f"{origin(row)}")
        row = self._wrong_by_grammar(row)
        if _lacks(row, _WRONG):
            made, fault = self._wrong(writer, row)
            row = self._with(row, _WRONG, made, name, f"{name}: {fault}")
        return row

    def _paraphrase(self, writer: Writer, first: str, what: str) -> tuple[str, str]:
        """Returns another wording; empty with the last fault where none is sound."""
        fault, asked = "", request_paraphrase(first, what)
        for _ in range(TRIES):
            (reply,) = writer.texts([asked], [room(first)])
            fault = fault_of_paraphrase(cleaned(reply), first, self._grammar.known)
            if not fault:
                return cleaned(reply), ""
            asked += f"\n\nNot so: {cleaned(reply)}"
        return "", fault

    def _wrong(self, writer: Writer, row: Example) -> tuple[tuple[str, ...], str]:
        """Returns five wrong answers; none with the last fault where there are fewer."""
        made: list[str] = []
        refused: list[str] = []
        base, fault = row.paraphrased_answer or row.answer, ""
        for _ in range(TRIES * WRONG_ANSWERS):
            asked = request_wrong(row.question, base, [*made, *refused])
            (reply,) = writer.texts([asked], [room(base)])
            text = cleaned(reply)
            found = fault_of_wrong(text, row, base, made, self._grammar.truths, self._grammar.known)
            fault = found or fault
            (refused if found else made).append(text)
            if len(made) == WRONG_ANSWERS:
                return tuple(made), ""
        return (), f"{len(made)} of {WRONG_ANSWERS} were sound; {fault}"

    def _with(
        self, row: Example, field: str, made: str | Sequence[str] | None, by: str, why: str
    ) -> Example:
        """Returns a row with a field that was made; notes what made it, or why nothing did."""
        if not made:
            self.left_out.setdefault(row.id, {})[field] = why
            return row
        if self.left_out.get(row.id, {}).pop(field, None) and not self.left_out[row.id]:
            del self.left_out[row.id]
        self.origins.setdefault(row.id, {})[field] = by
        return row.model_copy(update={field: made})
