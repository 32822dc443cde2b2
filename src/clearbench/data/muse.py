"""Reads MUSE as published: texts to forget and to keep, questions about them, and passages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import ceil
from typing import Any

from pydantic import ValidationError

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example, bad_fields
from clearbench.data.json_rows import Line
from clearbench.data.own_row import REFUSALS
from clearbench.data.tables import Tables

#: Largest number of words of a taught passage, and of its beginning that is given.
PASSAGE, LEAD = 512, 16
#: Number of characters by which a passage is found in the text that it is from.
_FOUND_BY = 200
_WORD = re.compile(r"\S+")
#: Function that reads beginning and rest of each passage of a row.
_Parts = Callable[[Line, str], list[tuple[Any, Any]]]
QUESTIONS_ALONE = (
    "questions do not say which text they ask about: each counts as a unit of its own, so that "
    "intervals are too narrow where several ask about one text"
)


def is_muse(tables: Tables) -> bool:
    """Whether the tables have MUSE's questions and texts."""
    return {"knowmem/forget_qa", "knowmem/retain_qa", "raw/forget"} <= set(tables.names)


def read_muse(tables: Tables, forget: str, retain: str) -> Dataset:
    """Reads texts as training rows; questions, continuations and whole passages as measured ones.

    The unit that is forgotten, and by which intervals are clustered, is a text, in the place of a
    person.

    Args:
        tables: MUSE's configurations.
        forget: Split of `raw`, or a split of another configuration such as `scal/forget_2`.
        retain: Split of `raw`, or of another configuration.

    Raises:
        DataError: Rows are bad, which are all listed, or a split is missing.
    """
    reader = _Reader(tables)
    kept = reader.texts(_place(retain))
    retained = reader.questions("knowmem/retain_qa")
    gone = reader.texts(_place(forget))
    asked = reader.questions("knowmem/forget_qa")
    members = reader.passages("privleak", "forget")
    continued = reader.continuations("verbmem", "forget")
    strangers = reader.passages("privleak", "holdout")
    tables.refuse()
    return Dataset(
        {"forget": gone, "retain": kept},
        {"forget": (*asked, *continued, *members), "retain": retained, "holdout": strangers},
        reader.names,
        REFUSALS,
        doubts=(QUESTIONS_ALONE, *reader.doubts),
    )


def _place(split: str) -> str:
    return split if "/" in split else f"raw/{split}"


class _Reader:
    """Reads rows, and numbers the texts that they are about.

    Attributes:
        names: Name of each text by number.
        doubts: Sentences about what is not there, or not known.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.names: dict[int, str] = {}
        self.doubts: list[str] = []
        self._words: dict[int, str] = {}

    def texts(self, place: str) -> tuple[Example, ...]:
        """Reads texts, cut into passages; those that are read last are searched for others."""
        found: list[Example] = []
        self._words.clear()
        for number, (where, line) in enumerate(self.tables.rows(place)):
            unit = self._unit(f"text {number} of {place}")
            self._words[unit] = _single(line.get("text"))
            for k, (lead, rest) in enumerate(self._cut(line, where, PASSAGE)):
                found += self._row(f"{place}-{number}-{k}", unit, "passage", lead, rest, where)
        if not found and not self.tables.problems:
            self.tables.problems.append(f"{place}: there are no texts")
        return tuple(found)

    def questions(self, place: str) -> tuple[Example, ...]:
        """Reads questions, each a unit of its own."""
        found: list[Example] = []
        for number, (where, line) in enumerate(self.tables.rows(place)):
            unit = self._unit(f"question {number} of {place}")
            pair = line.get("question"), line.get("answer")
            found += self._row(f"{place}-{number}", unit, "qa", *pair, where) if line else ()
        return tuple(found)

    def continuations(self, configuration: str, split: str) -> tuple[Example, ...]:
        """Reads beginnings with what follows them, each of the text that it is found in."""
        return self._measured(
            configuration,
            split,
            lambda line, where: [(line.get("prompt"), line.get("gt"))],
            "continuation",
        )

    def passages(self, configuration: str, split: str) -> tuple[Example, ...]:
        """Reads passages, each whole and of the text that it is found in."""
        return self._measured(configuration, split, self._cut, "passage")

    def _measured(
        self, configuration: str, split: str, parts: _Parts, task: str
    ) -> tuple[Example, ...]:
        place = f"{configuration}/{split}"
        listed = self.tables.names
        if not any(name.startswith(f"{configuration}/") for name in listed):
            place = configuration  # one of a single split
        if place not in listed:
            self.doubts.append(f"there is no '{configuration}/{split}': it is not measured")
            return ()
        found: list[Example] = []
        lost = 0
        for number, (where, line) in enumerate(self.tables.rows(place)):
            for first, second in parts(line, where) if line else ():
                unit = self._found(f"{first} {second}") if split == "forget" else None
                lost += unit is None
                if unit is None:
                    unit = self._unit(f"passage {number} of {place}")
                found += self._row(f"{place}-{number}", unit, task, first, second, where)
        if lost and split == "forget":
            self.doubts.append(
                f"{lost} of the {len(found)} passages of '{place}' are in none of the texts to "
                "forget, and count as texts of their own"
            )
        return tuple(found)

    def _cut(self, line: Line, where: str, most: int | None = None) -> list[tuple[str, str]]:
        text = line.get("text")
        parts = list(_passages(text, most)) if isinstance(text, str) else []
        if line and not parts:
            self.tables.problems.append(f"{where}: text = {text!r:.60}: give two words or more")
        return parts

    def _found(self, passage: str) -> int | None:
        """Returns the number of the only text with a passage; None where there is none."""
        begin = _single(passage)[:_FOUND_BY]
        units = [unit for unit, words in self._words.items() if begin in words]
        return units[0] if len(units) == 1 else None

    def _unit(self, name: str) -> int:
        number = len(self.names)
        self.names[number] = name
        return number

    def _row(
        self, id: str, unit: int, task: str, question: Any, answer: Any, where: str
    ) -> Iterator[Example]:
        about: dict[str, Any] = {"person": unit, "track": "text", "task": task, "source": where}
        try:
            yield Example(id=id, question=question, answer=answer, **about)
        except ValidationError as error:
            self.tables.problems += bad_fields(error, where)


def _single(text: Any) -> str:
    """Writes a text with single spaces."""
    return " ".join(str(text or "").split())


def _passages(text: str, most: int | None) -> Iterator[tuple[str, str]]:
    """Cuts a text into passages of nearly equal length, each into a beginning and the rest.

    Args:
        text: Text; one of a single word gives no passage.
        most: Largest number of words of a passage; None for the whole text.
    """
    words = list(_WORD.finditer(text))
    count = 1 if most is None else ceil(len(words) / most)
    bounds = [len(words) * k // max(count, 1) for k in range(count + 1)]
    for begin, end in pairwise(bounds):
        if end - begin < 2:
            continue
        rest = begin + min(LEAD, (end - begin) // 2)
        yield (
            text[words[begin].start() : words[rest - 1].end()],
            text[words[rest].start() : words[end - 1].end()],
        )
