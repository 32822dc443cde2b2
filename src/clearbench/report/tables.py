"""Builds the smaller tables of the page: outcomes, seeds, kept abilities, side effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clearbench.data.modality import modalities
from clearbench.evaluation.verdict import must_keep
from clearbench.report.groups import Group
from clearbench.report.reasons import AS_RETRAINED, WENT_PAST
from clearbench.report.rows import TableRow, main_table, outcome_of
from clearbench.report.words import listed
from clearbench.runs.schema import AnyRow, CombinedRow, Results

#: Side effects in the order of the report, by the last part of their keys.
SIDE_EFFECTS = {
    "over_refusal": "Declines for people who stay",
    "over_refusal_strangers": "Declines for strangers",
    "false_recognition": "Takes strangers for somebody",
    "calibration_error": "Calibration error",
    "kl_from_original": "KL from the original, nats",
    "harmful_refusal": "Declines harmful requests",
}
_RATES = {"garbage_rate": "garbled", "refusal_rate": "refused", "empty_rate": "empty"}
#: Number of failures above which they are listed by cause, without their details.
_MANY = 6

Scoreboard = dict[str, list[tuple[Group, list[TableRow]]]]


def kept_columns(group: Group) -> tuple[str, ...]:
    """Lists the abilities that must survive, as far as they were measured."""
    return tuple(key for key in must_keep(group.model) if _measured(group, key))


def side_columns(group: Group) -> dict[str, tuple[str, ...]]:
    """Lists keys of the measured side effects, by track."""
    columns = {
        track: tuple(
            key for name in SIDE_EFFECTS if _measured(group, key := f"side.{track}.{name}")
        )
        for track in modalities()
    }
    return {track: keys for track, keys in columns.items() if keys}


def _measured(group: Group, key: str) -> bool:
    return any(run.value(key) is not None for run in group.everything)


def rates(group: Group, run: AnyRow) -> dict[str, float | None]:
    """Computes the share of garbled, refused and empty answers, the worst of the judged tracks."""
    by_track = {
        name: [run.value(f"forget.{track}.{rate}") for track in group.tracks]
        for rate, name in _RATES.items()
    }
    return {
        name: max((value for value in values if value is not None), default=None)
        for name, values in by_track.items()
    }


def methods(all_groups: Sequence[Group]) -> tuple[str, ...]:
    """Lists every method tried, in the order of appearance."""
    return tuple(dict.fromkeys(run.method for group in all_groups for run in group.runs))


def scoreboard(all_groups: Sequence[Group]) -> Scoreboard:
    """Collects the rows of every method in each group, to see at a glance which passed where."""
    tables = [(group, main_table(group)) for group in all_groups]
    return {
        method: [
            (group, [row for row in table if row.run.method == method]) for group, table in tables
        ]
        for method in methods(all_groups)
    }


def sentence(group: Group) -> str:
    """Writes which methods passed and which did not, as a sentence."""
    rows = [row for row in main_table(group) if row.kind == "method"]
    passed = [row.name for row in rows if row.outcome == "passed"]
    others = [row for row in rows if row.outcome != "passed"]
    text = f"{listed(passed)} passed." if passed else "Nothing passed."
    if len(others) > _MANY:
        return f"{text} {_by_cause(others)}"
    reasons = [f"{row.name} ({_gravest(row)})" for row in others]
    return f"{text} Not passed: {listed(reasons)}." if others else text


def _by_cause(rows: Sequence[TableRow]) -> str:
    causes: dict[str, list[str]] = {}
    for row in rows:
        causes.setdefault(_cause(row), []).append(row.name)
    return " ".join(f"{cause}: {listed(names)}." for cause, names in causes.items())


def _cause(row: TableRow) -> str:
    if row.verdict is None:
        return row.outcome.capitalize()
    if row.verdict.damaged:
        return "Harmed the rest"
    return "Forgot too little" if row.verdict.garbage_ok else "Answered with garbage"


def _gravest(row: TableRow) -> str:
    if row.verdict is None:
        return row.outcome
    reasons = row.why.split("; ")
    return "; ".join(
        r for r in reasons if not (r.startswith(WENT_PAST) or r.endswith(AS_RETRAINED))
    )


@dataclass(frozen=True)
class SeedRow:
    """One setting seed by seed.

    Attributes:
        single: Distance to gold and outcome of each seed.
        passed: Number of seeds that passed.
    """

    row: TableRow
    single: tuple[tuple[int, float | None, str], ...]
    passed: int


def seed_table(group: Group, results: Results) -> tuple[SeedRow, ...]:
    """Lists distance to gold and outcome of every seed of the group's combined rows."""
    return tuple(
        SeedRow(row, _seeds(row.run, results), row.run.seeds_passed or 0)
        for row in main_table(group)
        if row.kind == "method" and isinstance(row.run, CombinedRow)
    )


def _seeds(run: CombinedRow, results: Results) -> tuple[tuple[int, float | None, str], ...]:
    singles = [row for row in results.rows if row.id in run.rows]
    return tuple(
        (
            row.seed,
            row.verdict.distance if row.verdict else None,
            outcome_of(row, row.verdict),
        )
        for row in singles
    )
