"""Computes means over rows, and intervals clustered by person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clearbench.evaluation.score import Direction, Range, Score
from clearbench.libraries import pd, stats

#: Number of people below which there is no interval, rather than one by independent rows.
MIN_CLUSTERS = 5


def mean_score(
    values: pd.Series,
    people: Mapping[str, int],
    direction: Direction,
    version: int = 1,
    range: Range = (0.0, 1.0),
) -> Score:
    """Computes the mean of per-row values with an interval clustered by person."""
    mean = float(values.to_numpy(dtype=float).mean())
    error, count = clustered_error(values, people)
    low, high = interval(mean, error, count, range)
    return Score(
        value=mean,
        low=low,
        high=high,
        n=len(values),
        clusters=count,
        direction=direction,
        range=range,
        version=version,
    )


def clustered_error(values: pd.Series, people: Mapping[str, int]) -> tuple[float, int]:
    """Computes the standard error of a mean and the number of people.

    The variance is that of cluster sums of residuals, with the correction G / (G - 1) (CR1). It is
    0 where there is only one person, and means nothing there.
    """
    numbers = values.to_numpy(dtype=float)
    groups, index = np.unique(clusters(values, people), return_inverse=True)
    count = len(groups)
    sums = np.bincount(index, weights=numbers - numbers.mean(), minlength=count)
    spread = count / max(1, count - 1) * float((sums**2).sum())
    return float(np.sqrt(spread)) / len(numbers), count


def interval(
    value: float, error: float, count: int, range: Range = (None, None)
) -> tuple[float | None, float | None]:
    """Computes the 95 % interval by a t quantile on `count` - 1, within `range`."""
    if count < MIN_CLUSTERS:
        return None, None
    return within(value, float(stats.t.ppf(0.975, count - 1)) * error, range)


def within(value: float, reach: float, range: Range) -> tuple[float, float]:
    """Computes `value` - `reach` and `value` + `reach`, cut to the range."""
    least, most = range
    low, high = value - reach, value + reach
    return (
        low if least is None else max(least, low),
        high if most is None else min(most, high),
    )


def clusters(values: pd.Series, people: Mapping[str, int]) -> NDArray[np.int64]:
    """Returns the person of each value; every row about the world is a cluster of its own."""
    numbers = np.array([people.get(str(row), -1) for row in values.index], dtype=np.int64)
    alone = numbers < 0
    numbers[alone] = -1 - np.arange(int(alone.sum()))
    return numbers
