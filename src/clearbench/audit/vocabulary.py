"""Decides whether words that the rows lack count as garbled: only where a sound model has few."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from clearbench.audit.measure import Subject, Subjects
from clearbench.audit.words import percent
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.wordings import WORDINGS

#: Share of answers with unknown words up to which a sound model keeps to the words of the rows.
FEW = 0.25


def by_form_alone(subjects: Subjects) -> tuple[Subjects, list[str]]:
    """Drops unknown words from the records where sound models use many, and says so.

    A few own rows hold few words, so that a large model's plain answers, refusals among them, would
    pass for garbled. The original, or else gold, shows whether that is so; without either nobody
    can tell, and only loops, symbols and repeated syllables count.
    """
    sound = subjects.original or subjects.gold
    share = None if sound is None else _strange(sound.records)
    if share is not None and share <= FEW:
        return subjects, []
    changed = {
        {"model": "audited"}.get(name, name): _without_words(subject)
        for name, subject in subjects.every()
    }
    if not any(len(subject.records.generations) for subject in changed.values()):
        return subjects, []
    who = "the model before unlearning" if subjects.original else "a model that never met them"
    why = (
        "there is no other model to show which words are usual"
        if share is None
        else f"{percent(share)} of the answers of {who} hold such words"
    )
    said = f"words that the rows lack do not count as garbled: {why}"
    return replace(subjects, **changed), [said]


def _strange(records: Records) -> float | None:
    """Computes the share of answers with words that the rows lack; None without answers."""
    lines = records.table(WORDINGS)
    own = lines[lines["split"] != SIDE]
    return None if own.empty else float((own["unknown_words"].map(len) > 0).mean())


def _without_words(subject: Subject) -> Subject:
    lines = subject.records.table(WORDINGS)
    empty = lines.assign(
        unknown_words=pd.Series([[]] * len(lines), index=lines.index, dtype=object)
    )
    return replace(subject, records=subject.records.with_table(WORDINGS, empty))
