"""Checks the contract of metrics on the records of tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def _applies(metric: Metric) -> None:
    values = [metric.per_row(group) for group in typical_groups(metric)]
    must(values, "applies to no split and task")
    must(any(len(series) for series in values), "gives no value on any typical records")


def _finite_in_range(metric: Metric) -> None:
    limits = metric.description.range
    low, high = bounds(limits)
    for group in typical_groups(metric):
        values = metric.per_row(group).to_numpy(dtype=float)
        must(np.isfinite(values).all(), f"not finite on {group.key.split}: {values}")
        inside = ((values >= low - ROUNDING) & (values <= high + ROUNDING)).all()
        must(inside, f"outside {limits} on {group.key.split}: {values}")


def _one_value_a_row(metric: Metric) -> None:
    for group in typical_groups(metric):
        rows = metric.per_row(group).index
        must(rows.is_unique, f"several values a row on {group.key.split}")
        must(set(rows) <= set(group.people), f"values of unknown rows on {group.key.split}")


def _order(metric: Metric) -> None:
    for group in typical_groups(metric):
        first = metric.per_row(group).sort_index()
        second = metric.per_row(shuffled(group)).sort_index()
        must(same(first, second), f"{group.key.split}: order matters")


def _single(metric: Metric) -> None:
    if metric.case.pooled:
        return
    for group in typical_groups(metric):
        whole = metric.per_row(group)
        for row in whole.index[:2]:
            alone = metric.per_row(group.where({str(row)}))
            about = f"{group.key.split}: a row's value depends on others"
            must(same(alone, whole.loc[[row]]), about)


def _empty(metric: Metric) -> None:
    for group in typical_groups(metric):
        values = metric.per_row(group.where(()))
        must(isinstance(values, pd.Series), "nothing measured gives no series")
        must(values.empty, f"nothing measured gives {len(values)} values")


def _pure(metric: Metric) -> None:
    for group in typical_groups(metric):
        before = copied(group)
        metric.per_row(group)
        spoiled = differing(before, group)
        must(not spoiled, f"{group.key.split}: the {', '.join(spoiled)} were changed")


def _compared(metric: Comparison, collections: Collections) -> dict[str, Score]:
    return {
        key: score
        for track in collections.tracks
        for key, score in metric.compare(collections, track).items()
    }


def _comparison_applies(metric: Comparison) -> None:
    scores = _compared(metric, typical_collections())
    must(scores, "gives no score on any typical records")
    for key in scores:
        must(key.split(".")[2].startswith(metric.score_key), f"'{key}' does not have its key")


def _comparison_in_range(metric: Comparison) -> None:
    check_in_range(_compared(metric, typical_collections()))


def _comparison_order(metric: Comparison) -> None:
    if metric.description.erratum:
        return
    first = _compared(metric, typical_collections())
    check_same(first, _compared(metric, typical_collections(shuffled)))


def _comparison_empty(metric: Comparison) -> None:
    nothing = typical_collections(lambda records: records.in_groups(lambda _: False))
    scores = _compared(metric, nothing)
    must(not scores, f"nothing measured gives {list(scores)}")


def _comparison_pure(metric: Comparison) -> None:
    given, before = typical_collections(), typical_collections()
    _compared(metric, given)
    for ours, theirs in ((given.model, before.model), (given.golds[0], before.golds[0])):
        check_unchanged(theirs, ours)


_DESCRIBED: dict[str, Callable[[Any], None]] = {"says what it is, with a version": check_described}
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
    made = [metric] if isinstance(metric, Measure) else list(metric.configured())
    cls = type(made[0])
    checks = _DESCRIBED | (_ROWS if issubclass(cls, Metric) else _COMPARISONS)
    run_checks(checks, made)
    return list(checks)


def run_checks(checks: dict[str, Callable[[Any], None]], made: list[Any]) -> None:
    """Runs every check on every configuration.

    Raises:
        AssertionError: The first check that fails, with check and configuration.
    """
    for configured in made:
        for name, check in checks.items():
            try:
                check(configured)
            except Exception as error:
                raise AssertionError(f"{name}: {configured.score_key}: {error}") from error
