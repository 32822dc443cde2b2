"""Decides which answers count as garbled besides those that loop or are mostly symbols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from clearbench.audit.contexts import ABOUT, Said
from clearbench.audit.fluency import FEW, LEAST, Fluency
from clearbench.audit.measure import Subject, Subjects
from clearbench.audit.words import percent
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.modality import modality
from clearbench.data.words import pieces
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import ROW_COLUMNS
from clearbench.evaluation.wordings import WORDINGS

#: Split, modality, task, person and row of a line.
Line = tuple[Any, ...]


def garbled_marked(
    subjects: Subjects, dataset: Dataset, fluency: Fluency | None
) -> tuple[Subjects, list[str]]:
    """Marks the answers that are garbled by their words or unlikely, and says what does not count.

    The column of unknown words has for every answer the words by which it is garbled.

    Args:
        subjects: Measured models.
        dataset: Dataset as the models' kind reads it.
        fluency: What fluent answers look like to the original; None where only records are there.
    """
    inventing = None if fluency is None else fluency.inventing
    subjects, said = by_form_alone(subjects, inventing)
    if fluency is None:
        return subjects, said
    rows = {row.id: row for split in ABOUT for row in dataset.evaluation.get(split, ())}
    changed = {
        {"model": "audited"}.get(name, name): replace(
            subject, records=_marked(subject.records, rows, fluency)
        )
        for name, subject in subjects.every()
    }
    return replace(subjects, **changed), [*said, *_unjudged(fluency)]


def _unjudged(fluency: Fluency) -> Iterator[str]:
    """Yields modalities with too few questions to show how fluent answers read."""
    for track, task in fluency.contexts.rows:
        if task == modality(track).main_task and (track, task) not in fluency.limits:
            yield (
                f"mixed-up fragments on {track} do not count as garbled: fewer than {LEAST} "
                "questions show how fluent answers read"
            )


def _marked(records: Records, rows: Mapping[str, Example], fluency: Fluency) -> Records:
    asked = dict(_asked(records, rows))
    beyond = dict(zip(asked, fluency.unlikely([*asked.values()]), strict=True))
    lines = records.table(WORDINGS)
    words = [
        list(own) if key not in asked else _garbled_by(asked[key], own, beyond[key], fluency)
        for *about, own in _lines(lines, "unknown_words")
        for key in (tuple(about),)
    ]
    column = pd.Series(words, index=lines.index, dtype=object)
    return records.with_table(WORDINGS, lines.assign(unknown_words=column))


def _asked(records: Records, rows: Mapping[str, Example]) -> Iterator[tuple[Line, Said]]:
    """Yields the answers to the rows' own questions, by the line that they stand in."""
    for *about, question, text in _lines(records.generations, "question", "text"):
        row = rows.get(about[-1])
        if row is not None and (row.track, row.task, row.question) == (*about[1:3], question):
            yield tuple(about), Said(row, text)


def _lines(frame: pd.DataFrame, *columns: str) -> Iterator[Line]:
    return zip(*(frame[name] for name in (*ROW_COLUMNS, *columns)), strict=True)


def _garbled_by(said: Said, own: Sequence[str], beyond: bool, fluency: Fluency) -> list[str]:
    """Lists the words by which an answer is garbled: all where it is unlikely as a whole."""
    strange = fluency.strange(said)
    return pieces(said.text) if beyond else [word for word in own if word in strange]


def by_form_alone(subjects: Subjects, inventing: float | None = None) -> tuple[Subjects, list[str]]:
    """Drops unknown words from the records where a model that invents uses many, and says so.

    A few own rows hold few words, so that plain answers with an invented name, and a large model's
    refusals, would pass for garbled. Whether that is so is shown by gold's answers about the people
    to forget, or else by the original's about people whom nobody was taught: both must invent. A
    model that recites the rows shows nothing. Without either, unknown words do not count.

    Args:
        subjects: Measured models.
        inventing: Share of the original's answers about names that nobody bears that hold unknown
            words; None where it was not asked.
    """
    if subjects.gold is not None:
        share, who = _strange(subjects.gold.records, "forget"), "gold about the people"
    elif inventing is not None:
        share, who = inventing, "the model before unlearning about names that nobody bears"
    elif subjects.original is not None:
        share = _strange(subjects.original.records, "holdout")
        who = "the model before unlearning about people never taught"
    else:
        share, who = None, ""
    if share is not None and share <= FEW:
        return subjects, []
    changed = {
        {"model": "audited"}.get(name, name): _without_words(subject)
        for name, subject in subjects.every()
    }
    if not any(len(subject.records.generations) for subject in changed.values()):
        return subjects, []
    why = (
        "no model shows which words are usual in answers that are invented (--reference)"
        if share is None
        else f"{percent(share)} of the answers of {who} hold such words"
    )
    said = f"words that the rows lack do not count as garbled: {why}"
    return replace(subjects, **changed), [said]


def _strange(records: Records, split: str) -> float | None:
    """Computes the share of a split's answers with words that the rows lack; None without any."""
    lines = records.table(WORDINGS)
    own = lines[lines["split"] == split]
    return None if own.empty else float((own["unknown_words"].map(len) > 0).mean())


def _without_words(subject: Subject) -> Subject:
    lines = subject.records.table(WORDINGS)
    empty = lines.assign(
        unknown_words=pd.Series([[]] * len(lines), index=lines.index, dtype=object)
    )
    return replace(subject, records=subject.records.with_table(WORDINGS, empty))
