"""Decides whether words that the rows lack count as garbled: where a model that invents has few."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from clearbench.audit.measure import Subject, Subjects
from clearbench.audit.words import percent
from clearbench.evaluation.records import Records
from clearbench.evaluation.wordings import WORDINGS

#: Share of answers with unknown words up to which a model keeps to the words of the rows.
FEW = 0.25


def by_form_alone(subjects: Subjects) -> tuple[Subjects, list[str]]:
    """Drops unknown words from the records where a model that invents uses many, and says so.

    A few own rows hold few words, so that plain answers with an invented name, and a large model's
    refusals, would pass for garbled. Whether that is so is shown by gold's answers about the people
    to forget, or else by the original's about people whom nobody was taught: both must invent. A
    model that recites the rows shows nothing. Without either, only loops, symbols and repeated
    syllables count.
    """
    if subjects.gold is not None:
        share, who = _strange(subjects.gold.records, "forget"), "gold about the people"
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
