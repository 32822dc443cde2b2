"""Reads MLLMU-Bench as published: people with pictures, in `forget_5`, `retain_95` and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from clearbench.data.dataset import Dataset
from clearbench.data.json_rows import Line
from clearbench.data.profiles import (
    Asked,
    Profile,
    chosen,
    divided,
    entries,
    profiles,
    structured,
)
from clearbench.data.tables import Tables

#: Configurations of the same people under other pictures and words, and of real people.
TEST, REAL = "Test_Set", "Retain_Set"
#: Spelling of a question's form: whether it is about the picture.
_PICTURED = {"Image_Textual": True, "Pure_Text": False}
PICTURES = (
    f"the pictures of '{TEST}' are left out: its words are asked of the people's own pictures"
)
NO_TEST = f"there is no '{TEST}': no question is asked in other words"


def is_mllmu(tables: Tables) -> bool:
    """Whether the tables have people with MLLMU-Bench's tasks."""
    splits = [name for name in tables.names if name.startswith("forget_")]
    return bool(splits) and "Classification_Task" in tables.columns(splits[0])


def read_mllmu(tables: Tables, forget: str, retain: str) -> Dataset:
    """Reads people to forget and to keep, and the real people, who are only measured.

    Args:
        tables: MLLMU-Bench's configurations.
        forget: A forget split, such as `forget_5`.
        retain: A retain split, such as `retain_95`.

    Raises:
        DataError: Rows are bad, which are all listed, or a split is missing.
    """
    gone, kept = (profiles(tables, name, _questions) for name in (forget, retain))
    real = profiles(tables, REAL, _questions) if REAL in tables.names else []
    doubts = [] if real else [f"there is no '{REAL}': no real person is measured"]
    if TEST in tables.names:
        again = _other_words(tables)
        gone, kept = ([_reworded(profile, again) for profile in side] for side in (gone, kept))
        doubts.append(PICTURES)
    else:
        doubts.append(NO_TEST)
    return divided(tables, gone, kept, real, doubts)


def _questions(line: Line, where: str, problems: list[str]) -> tuple[list[Asked], list[Asked]]:
    """Reads what a row teaches and what it measures.

    Taught are the pairs of `metadata`, as the authors' loader reads them, and where there is no
    such column the question about the whole person and the questions to be answered freely.
    """
    free = _typed(line, "Generation_Task", "generation", where, problems)
    measured = [
        *free,
        *_choices(line, where, problems),
        *_typed(line, "Mask_Task", "cloze", where, problems),
    ]
    if line.get("metadata") is not None:
        pairs = structured(line, "metadata", where, problems)
        taught = [
            Asked("generation", True, place, entry.get("Question"), entry.get("Answer"))
            for place, entry in entries(pairs, list, "metadata", where, problems)
        ]
        return taught, measured
    whole = Asked("generation", True, "question", line.get("question"), line.get("answer"))
    return [*([whole] if line.get("question") is not None else []), *free], measured


def _typed(line: Line, column: str, kind: str, where: str, problems: list[str]) -> list[Asked]:
    """Reads a list of questions that say whether they are about the picture."""
    found = []
    value = structured(line, column, where, problems)
    for place, entry in entries(value, list, column, where, problems):
        form = entry.get("Type")
        if form not in _PICTURED:
            known = " or ".join(_PICTURED)
            problems.append(f"{where}: {place}.Type = {form!r:.60}: give {known}")
            continue
        question, answer = entry.get("Question"), entry.get("Ground_Truth")
        found.append(Asked(kind, _PICTURED[form], place, question, answer))
    return found


def _choices(line: Line, where: str, problems: list[str]) -> list[Asked]:
    column = "Classification_Task"
    value = structured(line, column, where, problems)
    if value is not None and not isinstance(value, Mapping):
        problems.append(f"{where}: {column} = {value!r:.60}: give questions by form")
        return []
    found = []
    for form, pictured in (("Image_Textual_Questions", True), ("Pure_Text_Questions", False)):
        listed = (value or {}).get(form)
        for place, entry in entries(listed, list, f"{column}.{form}", where, problems):
            true, options = chosen(
                entry.get("Correct_Answer"),
                entry.get("Options"),
                f"{where}: {place}.Correct_Answer",
                problems,
            )
            found.append(
                Asked("choice", pictured, place, entry.get("Question"), true, tuple(options))
            )
    return found


#: Question in other words, by person, whether it is about the picture, and its true answer.
_Words = dict[tuple[str, bool, str], str]


def _other_words(tables: Tables) -> _Words:
    """Reads the free questions of the test set."""
    found: _Words = {}
    for where, line in tables.rows(TEST, ("ID", "Generation_Task")):
        id = str(line.get("ID") or "").strip()
        for asked in _typed(line, "Generation_Task", "generation", where, tables.problems):
            found.setdefault((id, asked.pictured, str(asked.answer)), str(asked.question))
    return found


def _reworded(profile: Profile, words: _Words) -> Profile:
    """Gives questions other words of the test set's, where the true answer is equal."""

    def reworded(asked: Asked) -> Asked:
        other = words.get((profile.id, asked.pictured, str(asked.answer)))
        if asked.kind != "generation" or other in (None, asked.question):
            return asked
        return replace(asked, further={"paraphrased_question": other})

    return replace(profile, measured=tuple(map(reworded, profile.measured)))
