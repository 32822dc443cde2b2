"""Collects the numbers that benchmarks publish: quality, utility, CLEAR's aggregates, ROUGE."""

from __future__ import annotations

from dataclasses import dataclass

from clearbench.data.modality import modalities
from clearbench.report.groups import Group
from clearbench.runs.schema import AnyRow

#: Keys, without their track, in the order of the page, with the heads of their columns.
_COLUMNS = {
    "forget.{}.probability": "Probability, forgotten",
    "forget.{}.rouge_l": "ROUGE-L, forgotten",
    "forget.{}.forget_quality": "Forget quality (KS p)",
    "retain.{}.probability": "Probability, others",
    "retain.{}.rouge_l": "ROUGE-L, others",
    "all.{}.model_utility": "Model utility",
    "all.{}.clear_forget": "CLEAR: forget",
    "all.{}.clear_retain": "CLEAR: retain",
    "all.{}.clear_real": "CLEAR: real",
}


@dataclass(frozen=True)
class BenchmarkTable:
    """One track's published numbers of a group.

    Attributes:
        columns: Heads of the columns by score key.
        rests_on: Rows and people that the forgotten ones' scores were measured on.
    """

    track: str
    columns: dict[str, str]
    rests_on: str


def benchmark_tables(group: Group) -> tuple[BenchmarkTable, ...]:
    """Lists the measured published numbers of each track that a group was to forget."""
    tables = []
    for track in (name for name in modalities() if name in group.tracks):
        keys = {key.format(track): head for key, head in _COLUMNS.items()}
        columns = {key: head for key, head in keys.items() if group.measured(key)}
        if columns:
            tables.append(BenchmarkTable(track, columns, _rests_on(group, track)))
    return tuple(tables)


def least(run: AnyRow, group: Group, key: str) -> float | None:
    """Returns the smallest value of a score among a group's tracks; `{}` stands for the track."""
    values = (run.value(key.format(track)) for track in group.tracks)
    return min((value for value in values if value is not None), default=None)


def _rests_on(group: Group, track: str) -> str:
    """Writes how many answers about how many of the forgotten people the scores are from."""
    for run in group.runs:
        basis = run.verdict.rests_on if run.verdict else None
        if basis and track in basis.people_asked:
            asked, everybody = basis.people_asked[track], basis.people_forgotten
            return f"{basis.rows[track]} answers about {asked} of {everybody} forgotten people"
    return ""


def answers_and_people(group: Group) -> str:
    """Writes what a group's verdicts rest on: answers and people, by track."""
    parts = [f"{track}: {text}" for track in group.tracks if (text := _rests_on(group, track))]
    return "; ".join(parts)
