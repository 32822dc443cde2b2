"""Reads benchmarks whose rows are people: a profile, a picture, and several kinds of questions."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example, bad_fields
from clearbench.data.json_rows import Line
from clearbench.data.mapping import image
from clearbench.data.media import EncodedImage
from clearbench.data.own_row import REFUSALS
from clearbench.data.tables import Tables

#: Task of the rows about a picture and of the rows of text, by kind of question.
TASKS = {"generation": ("caption", "qa"), "choice": ("choice", "choice"), "cloze": ("cloze",) * 2}
#: What a sentence with a blank is asked as. Our own words.
BLANK_REQUEST = "Fill in the blank:"
_UNREADABLE = (ValueError, SyntaxError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Asked:
    """One question of a profile, as published.

    Attributes:
        kind: `generation`, `choice` or `cloze`.
        pictured: True for a question about the picture.
        place: Column, and place in it.
        question: Question; a sentence with a blank for `cloze`.
        answer: True answer.
        options: Texts of all options of a choice.
        further: Further fields of an example.
    """

    kind: str
    pictured: bool
    place: str
    question: Any
    answer: Any
    options: tuple[Any, ...] = ()
    further: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """One person of a configuration.

    Attributes:
        id: Published id.
        name: Name, or the id.
        where: Origin, `file:row`.
        picture: Picture; None where the row has none.
        taught: Questions that a model is taught.
        measured: Questions that are measured.
    """

    id: str
    name: str
    where: str
    picture: EncodedImage | None
    taught: tuple[Asked, ...]
    measured: tuple[Asked, ...]


#: Reads the taught and the measured questions of a row; bad ones become problems.
Questions = Callable[[Line, str, list[str]], tuple[list[Asked], list[Asked]]]


def profiles(tables: Tables, name: str, questions: Questions) -> list[Profile]:
    """Reads the people of a configuration; bad rows are in the `problems` of the tables."""
    found = []
    for where, line in tables.rows(name):
        id = str(line.get("ID") or "").strip()
        if line and not id:
            tables.problems.append(f"{where}: ID = {line.get('ID')!r}: give every person an id")
        if not id:
            continue
        picture = image(line, where, tables.problems, tables.folder)
        taught, measured = questions(line, where, tables.problems)
        called = str(line.get("name") or id)
        found.append(Profile(id, called, where, picture, tuple(taught), tuple(measured)))
    if not found and not tables.problems:
        tables.problems.append(f"{name}: there are no rows")
    return found


def divided(
    tables: Tables,
    forget: Iterable[Profile],
    retain: Iterable[Profile],
    real: Iterable[Profile] = (),
    doubts: Iterable[str] = (),
) -> Dataset:
    """Builds a dataset of people to forget, to keep, and of the real world, who are only measured.

    A person's number is the place among those who are kept, then those who are forgotten, then the
    real ones.

    Raises:
        DataError: Rows are bad, which are all listed, or a person is on two sides.
    """
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    known = [replace(profile, id=f"real-{profile.id}") for profile in real]
    sides = {"retain": list(retain), "forget": list(forget), "real": known}
    for profile in (profile for side in sides.values() for profile in side):
        number = numbers.setdefault(profile.id, len(numbers))
        names.setdefault(number, profile.name)

    def rows(side: str, taught: bool) -> tuple[Example, ...]:
        return tuple(
            row
            for profile in sides[side]
            for asked in (profile.taught if taught else profile.measured)
            for row in _example(profile, asked, numbers[profile.id], tables.problems)
        )

    training = {side: rows(side, taught=True) for side in ("forget", "retain")}
    evaluation = {side: rows(side, taught=False) for side in ("forget", "retain")}
    if known:
        asked = rows("real", taught=False)
        for split, track in (("real_faces", "image"), ("real_authors", "text")):
            evaluation[split] = tuple(row for row in asked if row.track == track)
    tables.problems = list(dict.fromkeys(tables.problems))  # taught and measured rows are the same
    tables.refuse()
    return Dataset(training, evaluation, names, REFUSALS, doubts=tuple(doubts))


def _example(profile: Profile, asked: Asked, person: int, problems: list[str]) -> Iterator[Example]:
    """Yields the example of a question, or nothing and a line in `problems`."""
    where = f"{profile.where}: {asked.place}"
    if asked.pictured and profile.picture is None:
        if not any(line.startswith(f"{profile.where}: image") for line in problems):
            problems.append(f"{profile.where}: image = None: {asked.place} asks about a picture")
        return
    question = asked.question
    if asked.kind == "cloze" and isinstance(question, str) and question.strip():
        question = f"{BLANK_REQUEST} {question}"
    try:
        yield Example(
            id=f"{profile.id}-{asked.place}",
            person=person,
            track="image" if asked.pictured else "text",
            task=TASKS[asked.kind][0 if asked.pictured else 1],
            question=question,
            answer=asked.answer,
            media=profile.picture if asked.pictured else None,
            source=profile.where,
            **{"perturbed_answers": tuple(o for o in asked.options if o != asked.answer)}
            | dict(asked.further),
        )
    except ValidationError as error:
        problems += bad_fields(error, where)


def chosen(answer: Any, options: Any, where: str, problems: list[str]) -> tuple[Any, list[Any]]:
    """Returns the text of a true option, which is given by its letter, and all texts.

    Args:
        answer: Letter, letter with text (`B. In Oslo`), or text of the true option.
        options: Texts by letter.
        where: Origin of the question.
        problems: List that gets a line where the answer is none of the options.
    """
    known = options if isinstance(options, Mapping) else {}
    texts = {str(letter): text for letter, text in known.items() if text is not None}
    letter = str(answer).partition(".")[0].strip()
    if letter in texts:
        return texts[letter], list(texts.values())
    if answer not in texts.values():
        problems.append(f"{where}: {answer!r:.60} is none of the options {', '.join(texts)}")
    return answer, list(texts.values())


def structured(line: Line, column: str, where: str, problems: list[str]) -> Any:
    """Returns the content of a column that holds lists and mappings, or the text of such.

    Text is JSON, or a literal of Python; nothing in it is run.
    """
    value = line.get(column)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value)
    except _UNREADABLE as error:
        what = (str(error).splitlines() or [type(error).__name__])[0][:60]
        problems.append(f"{where}: {column} = {value!r:.60}: no JSON and no literal: {what}")
        return None


def entries(
    value: Any, kind: type, place: str, where: str, problems: list[str]
) -> Iterator[tuple[str, Line]]:
    """Yields the questions that a column holds, each with its place; what is none is a problem.

    Args:
        value: List of questions, or questions by name; None for none.
        kind: `list` or `dict`.
        place: Column, and place in it.
        where: Origin of the row.
        problems: List that gets a line per bad entry.
    """
    if value is None:
        return
    if not issubclass(type(value), kind):
        wanted = "a list of questions" if kind is list else "questions by name"
        problems.append(f"{where}: {place} = {value!r:.60}: give {wanted}")
        return
    named: dict[Any, Any] = value if isinstance(value, dict) else dict(enumerate(value))
    for name, entry in named.items():
        if isinstance(entry, Mapping):
            yield f"{place}.{name}", dict(entry)
        elif entry is not None:
            problems.append(f"{where}: {place}.{name} = {entry!r:.60}: give named fields")
