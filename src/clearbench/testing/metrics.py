"""Checks the contract of metrics on the records of tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Measure
from clearbench.evaluation.metric import Collections, Comparison, Metric
from clearbench.evaluation.score import Score
from clearbench.testing.collections import (
    ROUNDING,
    bounds,
    check_in_range,
    check_same,
    check_unchanged,
    classifier_records,
    copied,
    differing,
    must,
    same,
    shuffled,
    typical_collections,
    typical_records,
)


def typical_groups(metric: Metric) -> Iterator[RecordGroup]:
    """Yields copies of the groups that a metric is for."""
    for records in (typical_records(), classifier_records()):
        for key, group in records.groups().items():
            if metric.applies(key):
                yield copied(group)


def check_described(made: Measure) -> None:
    """Checks that a metric or attack describes itself."""
    must(made.name, "no name")
    must(isinstance(made.version, int) and made.version >= 1, f"version is {made.version!r}")
    must(made.description.shows.strip(), "`shows` does not say what it shows")
    must(made.description.title.strip(), "no title")
    must((type(made).__doc__ or "").strip(), "no docstring")
    must(made.needs, "`needs` does not say what it is computed from")
    low, high = bounds(made.description.range)
    must(low < high, f"range is {made.description.range}")
    must("*" in made.directions, "no direction for `*`")
    must("." not in made.score_key, f"the key '{made.score_key}' has a dot")


@dataclass(frozen=True)
class RowsTrial:
    """A metric whose values on typical groups are computed once for several checks."""

    measure: Metric

    @cached_property
    def values(self) -> list[pd.Series]:
        """Values by row of every typical group, as they came; not to be changed."""
        return [self.measure.per_row(group) for group in typical_groups(self.measure)]

    def groups(self) -> Iterator[tuple[RecordGroup, pd.Series]]:
        """Yields a new copy of every typical group with its values."""
        yield from zip(typical_groups(self.measure), self.values, strict=True)


def _described(trial: RowsTrial | ComparisonTrial) -> None:
    check_described(trial.measure)


def _applies(trial: RowsTrial) -> None:
    must(trial.values, "applies to no split and task")
    must(any(len(series) for series in trial.values), "gives no value on any typical records")


def _finite_in_range(trial: RowsTrial) -> None:
    limits = trial.measure.description.range
    low, high = bounds(limits)
    for group, series in trial.groups():
        values = series.to_numpy(dtype=float)
        must(np.isfinite(values).all(), f"not finite on {group.key.split}: {values}")
        inside = ((values >= low - ROUNDING) & (values <= high + ROUNDING)).all()
        must(inside, f"outside {limits} on {group.key.split}: {values}")


def _one_value_a_row(trial: RowsTrial) -> None:
    for group, values in trial.groups():
        must(values.index.is_unique, f"several values a row on {group.key.split}")
        known = set(values.index) <= set(group.people)
        must(known, f"values of unknown rows on {group.key.split}")


def _order(trial: RowsTrial) -> None:
    for group, values in trial.groups():
        second = trial.measure.per_row(shuffled(group)).sort_index()
        must(same(values.sort_index(), second), f"{group.key.split}: order matters")


def _single(trial: RowsTrial) -> None:
    if trial.measure.case.pooled:
        return
    for group, whole in trial.groups():
        for row in whole.index[:2]:
            alone = trial.measure.per_row(group.where({str(row)}))
            about = f"{group.key.split}: a row's value depends on others"
            must(same(alone, whole.loc[[row]]), about)


def _empty(trial: RowsTrial) -> None:
    for group in typical_groups(trial.measure):
        values = trial.measure.per_row(group.where(()))
        must(isinstance(values, pd.Series), "nothing measured gives no series")
        must(values.empty, f"nothing measured gives {len(values)} values")


def _pure(trial: RowsTrial) -> None:
    for group in typical_groups(trial.measure):
        before = copied(group)
        trial.measure.per_row(group)
        spoiled = differing(before, group)
        must(not spoiled, f"{group.key.split}: the {', '.join(spoiled)} were changed")


@dataclass(frozen=True)
class ComparisonTrial:
    """A comparison whose scores on typical records are computed once for several checks."""

    measure: Comparison

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Scores on typical records."""
        return self.compared(typical_collections())

    def compared(self, collections: Collections) -> dict[str, Score]:
        """Computes the scores on every track."""
        return {
            key: score
            for track in collections.tracks
            for key, score in self.measure.compare(collections, track).items()
        }


def _comparison_applies(trial: ComparisonTrial) -> None:
    must(trial.scores, "gives no score on any typical records")
    for key in trial.scores:
        own = key.split(".")[2].startswith(trial.measure.score_key)
        must(own, f"'{key}' does not have its key")


def _comparison_in_range(trial: ComparisonTrial) -> None:
    check_in_range(trial.scores)


def _comparison_order(trial: ComparisonTrial) -> None:
    if not trial.measure.description.erratum:
        check_same(trial.scores, trial.compared(typical_collections(shuffled)))


def _comparison_empty(trial: ComparisonTrial) -> None:
    nothing = typical_collections(lambda records: records.in_groups(lambda _: False))
    scores = trial.compared(nothing)
    must(not scores, f"nothing measured gives {list(scores)}")


def _comparison_pure(trial: ComparisonTrial) -> None:
    given, before = typical_collections(), typical_collections()
    trial.compared(given)
    for ours, theirs in ((given.model, before.model), (given.golds[0], before.golds[0])):
        check_unchanged(theirs, ours)


_DESCRIBED: dict[str, Callable[[Any], None]] = {"says what it is, with a version": _described}
_ROWS: dict[str, Callable[[Any], None]] = {
    "applies somewhere": _applies,
    "finite and in range": _finite_in_range,
    "one value a row": _one_value_a_row,
    "row order changes nothing": _order,
    "a single row keeps its value": _single,
    "nothing measured gives nothing": _empty,
    "leaves the records alone": _pure,
}
_COMPARISONS: dict[str, Callable[[Any], None]] = {
    "applies somewhere": _comparison_applies,
    "finite and in range": _comparison_in_range,
    "row order changes nothing": _comparison_order,
    "nothing measured gives nothing": _comparison_empty,
    "leaves the records alone": _comparison_pure,
}


def check_metric(metric: Metric | Comparison | type[Metric | Comparison]) -> list[str]:
    """Checks a metric on the records of tiny vision-language models and a tiny classifier.

    Args:
        metric: A configured metric, or a class, whose declared variants are all checked.

    Returns:
        Names of the checks, all passed.

    Raises:
        AssertionError: The first check that fails, with check and metric.
    """
    made: list[Any] = [metric] if isinstance(metric, Measure) else list(metric.configured())
    rows = isinstance(made[0], Metric)
    checks = _DESCRIBED | (_ROWS if rows else _COMPARISONS)
    run_checks(checks, list(map(RowsTrial if rows else ComparisonTrial, made)))
    return list(checks)


def run_checks(checks: dict[str, Callable[[Any], None]], trials: Sequence[Any]) -> None:
    """Runs every check on every trial of a configuration.

    Raises:
        AssertionError: The first check that fails, with check and configuration.
    """
    for trial in trials:
        for name, check in checks.items():
            try:
                check(trial)
            except Exception as error:
                raise AssertionError(f"{name}: {trial.measure.score_key}: {error}") from error
