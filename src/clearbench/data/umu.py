"""Reads UMU-Bench as published: people whose every question is asked with and without a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.data.json_rows import Line
from clearbench.data.profiles import Asked, chosen, divided, entries, profiles, structured
from clearbench.data.tables import Tables

#: Configuration of real people, on the hub and in the authors' evaluation.
REAL = ("Real_Person_Set", "real_person")
#: Columns of taught questions: whether they are about the picture.
_TAUGHT = {"MM_QA": True, "UM_QA": False}
#: Columns of measured questions and their kind, and their forms, spelled as published.
_MEASURED = {"Generation": "generation", "Classify": "choice", "Cloze": "cloze"}
_FORMS = {"muitimodal": True, "unimodal": False}


def is_umu(tables: Tables) -> bool:
    """Whether the tables have people with UMU-Bench's tasks."""
    splits = [name for name in tables.names if name.startswith("forget_")]
    return bool(splits) and {"Classify", "MM_QA"} <= set(tables.columns(splits[0]))


def read_umu(tables: Tables, forget: str, retain: str) -> Dataset:
    """Reads people to forget and to keep, and the real people, who are only measured.

    Args:
        tables: UMU-Bench's configurations.
        forget: A forget split, such as `forget_5`.
        retain: A retain split, such as `retain_95`.

    Raises:
        DataError: Rows are bad, which are all listed, or a split is missing.
    """
    gone, kept = (profiles(tables, name, _questions) for name in (forget, retain))
    there = [name for name in REAL if name in tables.names]
    real = profiles(tables, there[0], _questions) if there else []
    doubts = [] if there else [f"there is no '{REAL[0]}': no real person is measured"]
    return divided(tables, gone, kept, real, doubts)


def _questions(line: Line, where: str, problems: list[str]) -> tuple[list[Asked], list[Asked]]:
    taught = [
        asked
        for column, pictured in _TAUGHT.items()
        for asked in _pairs(line, column, pictured, where, problems)
    ]
    measured = [
        asked
        for column, kind in _MEASURED.items()
        for asked in _both_forms(line, column, kind, where, problems)
    ]
    return taught, measured


def _pairs(
    line: Line, column: str, pictured: bool, where: str, problems: list[str]
) -> Iterator[Asked]:
    """Yields the questions of a column that holds questions by name and answers by name."""
    value = structured(line, column, where, problems)
    if value is None:
        return
    parts = [value.get(name) for name in ("question", "answer")] if _named(value) else []
    if not (parts and all(map(_named, parts))):
        problems.append(f"{where}: {column} = {value!r:.60}: give `question` and `answer` by name")
        return
    questions, answers = parts
    for name in questions:
        place = f"{column}.{name}"
        yield Asked("generation", pictured, place, questions[name], answers.get(name))


def _both_forms(
    line: Line, column: str, kind: str, where: str, problems: list[str]
) -> Iterator[Asked]:
    value = structured(line, column, where, problems)
    if value is None:
        return
    if not _named(value):
        problems.append(f"{where}: {column} = {value!r:.60}: give questions by form")
        return
    for form, pictured in _FORMS.items():
        for place, entry in entries(value.get(form), dict, f"{column}.{form}", where, problems):
            answer, options = entry.get("answer"), list[Any]()
            if kind == "choice":
                about = f"{where}: {place}.answer"
                answer, options = chosen(answer, entry.get("options"), about, problems)
            yield Asked(kind, pictured, place, entry.get("question"), answer, tuple(options))


def _named(value: Any) -> bool:
    return isinstance(value, Mapping)
