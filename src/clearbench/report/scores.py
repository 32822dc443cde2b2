"""Tabulates every score of every run, by split and track."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from clearbench.data.dataset import Split
from clearbench.evaluation.description import Description
from clearbench.evaluation.score import Score
from clearbench.report.measures import MetricWords, metric_words
from clearbench.report.rows import TableRow, interval
from clearbench.report.words import digits
from clearbench.runs.schema import AnyRow

#: Splits in the order of the page; others follow.
_ORDER = (*get_args(Split), "side", "all")
#: Value and its interval.
ScoreCell = tuple[float, tuple[float, float] | None]


@dataclass(frozen=True)
class ScoreLine:
    """One score of all runs that were measured on the same rows.

    Attributes:
        metric: Metric in words.
        key: Key of the score in the results.
        score: Score of the first of these runs: its gold, original, counts and version are
            those of all.
        cells: Value and interval of every run, in the order of the table's columns; None where
            the run has no such score.
        against: Values of gold and the original, where they are not those of the columns.
    """

    metric: MetricWords
    key: str
    score: Score
    cells: tuple[ScoreCell | None, ...]
    against: str = ""


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one split and track.

    Attributes:
        columns: Rows of the runs.
    """

    split: str
    track: str
    columns: tuple[TableRow, ...]
    lines: tuple[ScoreLine, ...]

    @property
    def metrics(self) -> int:
        """Number of different scores."""
        return len({line.key for line in self.lines})


def score_tables(
    rows: Sequence[TableRow], known: Mapping[str, Description]
) -> tuple[ScoreTable, ...]:
    """Tabulates every score of a group's rows, in one table per split and track.

    Args:
        rows: Rows of the group's main table.
        known: Descriptions by the last part of keys.
    """
    columns = tuple(row for row in rows if row.run.scores)
    found = {key for row in columns for key in row.run.scores}
    keys = sorted(found, key=lambda key: _place(key, known))
    places = dict.fromkeys(_parts(key)[:2] for key in keys)
    return tuple(
        ScoreTable(split, track, columns, tuple(_lines(keys, split, track, columns, known)))
        for split, track in places
    )


def glossary(
    all_tables: Iterable[ScoreTable], known: Mapping[str, Description]
) -> list[MetricWords]:
    """Lists every metric in the tables once, by name; those under a control have the same words."""
    metrics = {line.metric.name: line.metric for table in all_tables for line in table.lines}
    plain = (metric_words(name, known) for name in metrics)
    return sorted(plain, key=lambda metric: (metric.group, metric.name))


def _place(key: str, known: Mapping[str, Description]) -> tuple[int, str, str, str, str]:
    """Computes the sort key of a score: the split's place, then track, group and name."""
    split, track, metric = _parts(key)
    place = _ORDER.index(split) if split in _ORDER else len(_ORDER)
    return place, split, track, metric_words(metric, known).group, metric


def _parts(key: str) -> tuple[str, str, str]:
    split, track, metric, *_ = (*key.split(".", 2), "", "")
    return split, track, metric


def _lines(
    keys: Iterable[str],
    split: str,
    track: str,
    columns: Sequence[TableRow],
    known: Mapping[str, Description],
) -> Iterator[ScoreLine]:
    for key in keys:
        if _parts(key)[:2] == (split, track):
            metric = metric_words(_parts(key)[2], known)
            for score in _distinct(key, columns):
                cells = tuple(_cell(row.run, key, score) for row in columns)
                yield ScoreLine(metric, key, score, cells, _against(key, score, columns))


def _against(key: str, score: Score, columns: Sequence[TableRow]) -> str:
    notes = []
    for kind, value in (("gold", score.gold), ("original", score.original)):
        column = next((row.run.value(key) for row in columns if row.kind == kind), None)
        if value is not None and value != column:
            notes.append(f"{kind} {digits(value)}")
    return ", ".join(notes)


def _distinct(key: str, columns: Sequence[TableRow]) -> list[Score]:
    """Returns a score per set of rows: nearly always one, since all runs share their rows."""
    distinct: dict[tuple[float | None, ...], Score] = {}
    for row in columns:
        if key in row.run.scores:
            score = row.run.scores[key]
            distinct.setdefault(_basis(score), score)
    return list(distinct.values())


def _basis(score: Score) -> tuple[float | None, ...]:
    return score.gold, score.original, score.n, score.clusters, score.version


def _cell(run: AnyRow, key: str, line: Score) -> ScoreCell | None:
    score = run.scores.get(key)
    if score is None or _basis(score) != _basis(line):
        return None
    return score.value, interval(score)
