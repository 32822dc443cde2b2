"""Builds the smaller tables of the page: outcomes, seeds, side effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clearbench.data.modality import modalities
from clearbench.report.groups import Group
from clearbench.report.rows import TableRow, main_table, outcome_of
from clearbench.report.words import listed
from clearbench.runs.schema import CombinedRow, Results

#: Side effects in the order of the report, by the last part of their keys.
SIDE_EFFECTS = {
    "over_refusal": "Declines for people who stay",
    "over_refusal_strangers": "Declines for strangers",
    "false_recognition": "Takes strangers for somebody",
    "calibration_error": "Calibration error",
    "kl_from_original": "KL from the original, nats",
    "harmful_refusal": "Declines harmful requests",
}
#: Number of failures above which they are listed by cause, without their details.
_MANY = 6
_BAD = (("not judged", "Not judged"), ("diverged", "Diverged"), ("failed", "Failed"))

Scoreboard = dict[str, list[tuple[Group, list[TableRow]]]]


def side_columns(group: Group) -> dict[str, tuple[str, ...]]:
    """Lists keys of the measured side effects, by track."""
    columns = {
        track: tuple(key for name in SIDE_EFFECTS if group.measured(key := f"side.{track}.{name}"))
        for track in modalities()
    }
    return {track: keys for track, keys in columns.items() if keys}


def methods(all_groups: Sequence[Group]) -> tuple[str, ...]:
    """Lists every method tried, in the order of appearance."""
    return tuple(dict.fromkeys(run.method for group in all_groups for run in group.runs))


def scoreboard(all_groups: Sequence[Group]) -> Scoreboard:
    """Collects the rows of every method in each group, to see at a glance which forgot where."""
    tables = [(group, main_table(group)) for group in all_groups]
    return {
        method: [
            (group, [row for row in table if row.run.method == method]) for group, table in tables
        ]
        for method in methods(all_groups)
    }


def sentence(group: Group) -> str:
    """Writes which methods forgot, which did not and which are undecided, as a sentence."""
    rows = [row for row in main_table(group) if row.kind == "method" and not row.retrained]
    forgot = [row.name for row in rows if row.outcome == "forgot"]
    parts = [f"{listed(forgot)} forgot." if forgot else "Nothing forgot."]
    for outcome, title in (("undecided", "Undecided"), ("did not", "Did not"), *_BAD):
        chosen = [row for row in rows if row.outcome == outcome]
        if len(chosen) > _MANY:
            parts.append(f"{title}: {listed([row.name for row in chosen])}.")
        elif chosen:
            parts.append(f"{title}: {listed([f'{row.name} ({_gravest(row)})' for row in chosen])}.")
    return " ".join(parts)


def _gravest(row: TableRow) -> str:
    """Returns the first reason, and how many more there are."""
    if row.verdict is None:
        return row.why
    first, *others = row.verdict.reasons
    return f"{first}; and {len(others)} more" if others else first


@dataclass(frozen=True)
class SeedRow:
    """One setting seed by seed.

    Attributes:
        single: Distance to gold and outcome of each seed.
        forgot: Number of seeds that forgot.
    """

    row: TableRow
    single: tuple[tuple[int, float | None, str], ...]
    forgot: int


def seed_table(group: Group, results: Results) -> tuple[SeedRow, ...]:
    """Lists distance to gold and outcome of every seed of the group's combined rows."""
    return tuple(
        SeedRow(row, _seeds(row.run, results), row.run.words.count("forgot"))
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
