"""Reads TOFU's text as published: `full`, `forget10`, `forget10_perturbed` and the rest."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clearbench.data.authors import UNKNOWN, Pair, authors, pair, partly, whole
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.join import Names, identity
from clearbench.data.json_rows import Line
from clearbench.data.mapping import QUESTION, example
from clearbench.data.own_row import REFUSALS
from clearbench.data.persons import alike
from clearbench.data.roster import VISION_NAMES
from clearbench.data.tables import Tables
from clearbench.data.text_file import read_text
from clearbench.errors import DataError, did_you_mean


def retain_split(forget: str) -> str:
    """Names the published split that goes with a forget split: `retain90` with `forget10`."""
    if re.fullmatch(r"forget\d\d", forget) is None:
        known = ("forget01", "forget05", "forget10")
        raise DataError(f"unknown split '{forget}'", "forget", did_you_mean(forget, known))
    return f"retain{100 - int(forget[-2:]):02d}"


def is_tofu(tables: Tables) -> bool:
    """Whether the tables have TOFU's whole text."""
    return "full" in tables.names and "answer" in tables.columns("full")


def read_tofu(
    tables: Tables,
    forget: str,
    retain: str | None = None,
    *,
    by_number: bool = False,
    names: Names | None = None,
) -> Dataset:
    """Reads text in TOFU's layout; a person's number is the place in `full` (see `authors`).

    Args:
        tables: TOFU's configurations.
        forget: A forget split, such as `forget10`.
        retain: A retain split; everybody else by default.
        by_number: Whether people are counted, which needs to know them.
        names: Names of people, where they are known from elsewhere.

    Raises:
        DataError: Rows are bad, which are all listed, a split is missing or holds some rows of a
            person alone, or people are counted who are not known.
    """
    retain_split(forget)
    text = _Text(tables, [forget] if retain is None else [forget, retain], names)
    if by_number and not text.authors.known:
        fix = "give the rows a column 'person', or name a split to forget"
        raise DataError(f"people cannot be counted: {UNKNOWN}", tables.source, fix)
    gone = text.people(forget)
    kept = set(text.authors.people) - gone if retain is None else text.people(retain)
    taught = text.rows()
    doubts = [] if text.authors.known else [UNKNOWN]
    evaluation = {
        "forget": _measured(text, f"{forget}_perturbed", gone, taught, doubts),
        "retain": _measured(text, "retain_perturbed", kept, taught, doubts),
        "holdout": tuple(_strangers(tables, forget.replace("forget", "holdout"), text)),
        "real_authors": _world(tables, "real_authors"),
        "real_world": _world(tables, "world_facts"),
    }
    tables.refuse()
    training = {"forget": _rows_about(taught, gone), "retain": _rows_about(taught, kept)}
    called = _names(taught, evaluation["holdout"]) | dict(text.authors.names)
    doubts += alike(text.authors.names.values())
    return Dataset(training, evaluation, called, refusals(tables), doubts=tuple(doubts))


class _Text:
    """The whole text, and whom its rows are about.

    Attributes:
        authors: The people of its rows.
        numbers: Place of each row among those of its person.
    """

    def __init__(self, tables: Tables, splits: Sequence[str], names: Names | None) -> None:
        self.tables = tables
        self._full = list(tables.rows("full"))
        self._pairs = [pair(line) for _, line in self._full]
        known = set(self._pairs)
        self._splits = {split: list(self._split(split, known)) for split in splits}
        empty = [name for name, rows in {"full": self._full, **self._splits}.items() if not rows]
        tables.problems += [] if tables.problems else [f"{n}: there are no rows" for n in empty]
        tables.refuse()
        lines = [line for _, line in self._full]
        self.authors = authors(lines, self._splits.values(), tables.problems, names)
        tables.refuse()
        count: Counter[int] = Counter()
        self.places: dict[Pair, list[tuple[int, int]]] = defaultdict(list)
        for each, person in zip(self._pairs, self.authors.people, strict=True):
            self.places[each].append((person, count[person]))
            count[person] += 1

    def _split(self, split: str, known: set[Pair]) -> Iterator[Pair]:
        """Yields the rows of a split; others than those of the whole text are problems."""
        for where, line in self.tables.rows(split):
            if pair(line) in known:
                yield pair(line)
            elif line:
                self.tables.problems.append(f"{where}: question and answer are not in 'full'")

    def people(self, split: str) -> set[int]:
        """Returns the people of a split; those of whom it has some rows alone are problems."""
        rows = set(self._splits[split])
        owned = list(zip(self.authors.people, self._pairs, strict=True))
        for person in sorted(partly(rows, self.authors.people, self._pairs)):
            mine = [each in rows for owner, each in owned if owner == person]
            who = self.authors.names.get(person, f"person {person}")
            self.tables.problems.append(f"{split}: {sum(mine)} of the {len(mine)} rows about {who}")
        return whole(rows, self.authors.people, self._pairs)

    def rows(self) -> list[Example]:
        """Returns all rows."""
        places = {each: iter(found) for each, found in self.places.items()}
        return [
            row
            for (where, line), each in zip(self._full, self._pairs, strict=True)
            for row in question(self.tables, where, line, *next(places[each]))
        ]


def _measured(
    text: _Text, name: str, people: set[int], taught: Sequence[Example], doubts: list[str]
) -> tuple[Example, ...]:
    """Returns the measured rows of people; those that are taught where none have wrong answers."""
    tables = text.tables
    if name not in tables.names:
        doubts.append(unmeasured(name))
        return _rows_about(taught, people)
    rows: list[Example] = []
    for where, line in tables.rows(name):
        places = text.places.get(pair(line), [])
        if line and not places:
            tables.problems.append(f"{where}: question and answer are not in 'full'")
        mine = [place for place in places if place[0] in people]
        rows += question(tables, where, line, *(mine or places or [(0, 0)])[0])
    found = _rows_about(rows, people)
    if people and not any(row.perturbed_answers for row in found):
        doubts.append(without_wrong(name))
    return found


def _strangers(tables: Tables, name: str, text: _Text) -> Iterator[Example]:
    """Yields the rows of people who are in no other split; they get the next free numbers."""
    lines = list(tables.rows(name)) if name in tables.names else []
    found = authors([line for _, line in lines], (), tables.problems)
    known = {identity(who): number for number, who in text.authors.names.items()}
    following = 1 + max(text.authors.people)
    numbers: dict[int, int] = {}
    count: Counter[int] = Counter()
    for (where, line), person in zip(lines, found.people, strict=True):
        who = identity(found.names.get(person, ""))
        number = known.get(who, numbers.setdefault(person, following + len(numbers)))
        yield from question(tables, where, line, number, count[number])
        count[number] += 1


def unmeasured(name: str) -> str:
    """Returns the sentence about a configuration with wrong answers that is not there."""
    return f"there is no '{name}': its people are measured without wrong answers"


def without_wrong(name: str) -> str:
    """Returns the sentence about a configuration of measured rows that lacks wrong answers."""
    return f"'{name}' has no row with wrong answers about its people"


def refusals(tables: Tables) -> tuple[str, ...]:
    """Reads refusals without line ends (errata E42: line ends were kept), or takes our own."""
    path = tables.folder / "idontknow.jsonl"
    lines = read_text(path).split("\n") if path.is_file() else REFUSALS
    return tuple(line.strip() for line in lines if line.strip())


def _rows_about(rows: Iterable[Example], people: set[int]) -> tuple[Example, ...]:
    return tuple(row for row in rows if row.person in people)


def _rows(tables: Tables, name: str) -> Iterable[tuple[str, Line]]:
    """Returns rows of a configuration that only measuring needs, and that may be missing."""
    return tables.rows(name) if name in tables.names else ()


def question(tables: Tables, where: str, line: Line, person: int, number: int) -> Iterator[Example]:
    """Yields the example of a question, the person's `number`th."""
    about: dict[str, Any] = {"person": person, "track": "text", "task": "qa"}
    return example(line, QUESTION, where, tables.problems, id=f"{person}-{number}", **about)


def _world(tables: Tables, name: str) -> tuple[Example, ...]:
    about: dict[str, Any] = {"person": None, "track": "text", "task": "choice"}
    return tuple(
        row
        for number, (where, line) in enumerate(_rows(tables, f"{name}_perturbed"))
        for row in example(line, QUESTION, where, tables.problems, id=f"{name}-{number}", **about)
    )


def _names(*splits: Iterable[Example]) -> dict[int, str]:
    """Uses numbers as names, except for people whose own name CLEAR and their text both give."""
    texts: dict[int, list[str]] = {}
    for row in (row for rows in splits for row in rows):
        texts.setdefault(row.person or 0, []).append(f"{row.question} {row.answer}")
    known = Names(VISION_NAMES.values()).by_text(texts)
    return {person: f"author {person}" for person in texts} | {
        person: name for person, name in VISION_NAMES.items() if known.get(identity(name)) == person
    }
