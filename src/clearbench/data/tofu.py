"""Reads TOFU's text as published: `full`, `forget10`, `forget10_perturbed` and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.join import PER_PERSON, Names, identity
from clearbench.data.json_rows import Line
from clearbench.data.mapping import QUESTION, example
from clearbench.data.own_row import REFUSALS
from clearbench.data.roster import VISION_NAMES
from clearbench.data.tables import Tables
from clearbench.data.text_file import read_text
from clearbench.errors import DataError, did_you_mean

#: Question and answer, which identify a row across splits: one question is there twice.
Pair = tuple[str, str]


def retain_split(forget: str) -> str:
    """Names the published split that goes with a forget split: `retain90` with `forget10`."""
    if re.fullmatch(r"forget\d\d", forget) is None:
        known = ("forget01", "forget05", "forget10")
        raise DataError(f"unknown split '{forget}'", "forget", did_you_mean(forget, known))
    return f"retain{100 - int(forget[-2:]):02d}"


def is_tofu(tables: Tables) -> bool:
    """Whether the tables have TOFU's whole text."""
    return "full" in tables.names and "answer" in tables.columns("full")


def read_tofu(tables: Tables, forget: str, retain: str | None = None) -> Dataset:
    """Reads TOFU's text; a person's number is the place in `full`, twenty rows each.

    Args:
        tables: TOFU's configurations.
        forget: A forget split, such as `forget10`.
        retain: A retain split; everybody else by default.

    Raises:
        DataError: Rows are bad, which are all listed, or a split is missing.
    """
    retain_split(forget)
    full = list(tables.rows("full"))
    if not full or len(full) % PER_PERSON:
        tables.problems.append(f"full: {len(full)} rows are not {PER_PERSON} per person")
        tables.refuse()
    places = {_pair(line): place for place, (_, line) in enumerate(full)}
    everybody = set(range(len(full) // PER_PERSON))
    gone = _people(tables, forget, places)
    kept = everybody - gone if retain is None else _people(tables, retain, places)
    taught = [
        row
        for place, (where, line) in enumerate(full)
        for row in _question(tables, where, line, place)
    ]
    holdout = tuple(
        row
        for number, (where, line) in enumerate(_rows(tables, forget.replace("forget", "holdout")))
        for row in _question(tables, where, line, len(full) + number)
    )
    evaluation = {
        "forget": _rows_about(_perturbed(tables, f"{forget}_perturbed", places), gone),
        "retain": _rows_about(_perturbed(tables, "retain_perturbed", places), kept),
        "holdout": holdout,
        "real_authors": _world(tables, "real_authors"),
        "real_world": _world(tables, "world_facts"),
    }
    tables.refuse()
    training = {"forget": _rows_about(taught, gone), "retain": _rows_about(taught, kept)}
    return Dataset(training, evaluation, _names(taught, holdout), refusals(tables))


def refusals(tables: Tables) -> tuple[str, ...]:
    """Reads refusals without line ends (errata E42: line ends were kept), or takes our own."""
    path = tables.folder / "idontknow.jsonl"
    lines = read_text(path).split("\n") if path.is_file() else REFUSALS
    return tuple(line.strip() for line in lines if line.strip())


def _pair(line: Line) -> Pair:
    return str(line.get("question")), str(line.get("answer"))


def _rows_about(rows: Iterable[Example], people: set[int]) -> tuple[Example, ...]:
    return tuple(row for row in rows if row.person in people)


def _rows(tables: Tables, name: str) -> Iterable[tuple[str, Line]]:
    """Returns rows of a configuration that only measuring needs, and that may be missing."""
    return tables.rows(name) if name in tables.names else ()


def _question(tables: Tables, where: str, line: Line, place: int) -> Iterator[Example]:
    person, number = divmod(place, PER_PERSON)
    about: dict[str, Any] = {"person": person, "track": "text", "task": "qa"}
    return example(line, QUESTION, where, tables.problems, id=f"{person}-{number}", **about)


def _people(tables: Tables, split: str, places: dict[Pair, int]) -> set[int]:
    """Finds the people whom the rows of a split are about."""
    people = set()
    for where, line in tables.rows(split):
        if _pair(line) in places:
            people.add(places[_pair(line)] // PER_PERSON)
        elif line:
            tables.problems.append(f"{where}: question and answer are not in 'full'")
    return people


def _perturbed(tables: Tables, name: str, places: dict[Pair, int]) -> Iterator[Example]:
    for where, line in tables.rows(name):
        place = places.get(_pair(line))
        for row in _question(tables, where, line, place or 0):
            if place is None:
                tables.problems.append(f"{where}: question and answer are not in 'full'")
            else:
                yield row


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
