"""Scores: a value with interval, counts, direction, gold's value and version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

Direction = Literal["up", "down", "gold"]
#: Least and most; None where there is no bound.
Range = tuple[float | None, float | None]
#: Fewer people than this give no interval, rather than one that treats rows as independent.
MIN_CLUSTERS = 5


class Score(BaseModel):
    """One measured number.

    Attributes:
        low: Lower end of the 95 % interval, clustered by person; None under 5 people.
        n: Rows behind the number.
        clusters: People behind it (rows, where they are about the world).
        direction: `up` or `down` where more or less is better, `gold` where gold's value is.
        gold: The gold model's value of the same number, when known.
        statistic: The test statistic behind a p-value.
        chance: The value of guessing, where one of several options is chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None
    n: int
    clusters: int
    direction: Direction
    range: Range = (0.0, 1.0)
    gold: float | None = None
    original: float | None = None
    statistic: float | None = None
    chance: float | None = None
    version: int = 1


def mean_score(
    values: pd.Series,
    people: Mapping[str, int],
    direction: Direction,
    version: int = 1,
    range: Range = (0.0, 1.0),
) -> Score:
    """The mean of per-row values with an interval clustered by person."""
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
    """The standard error of a mean and the number of people behind it.

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
    """The 95 % interval by a t quantile on `count` - 1, within `range`; none under 5 people."""
    if count < MIN_CLUSTERS:
        return None, None
    return within(value, float(stats.t.ppf(0.975, count - 1)) * error, range)


def within(value: float, reach: float, range: Range) -> tuple[float, float]:
    """`value` - `reach` and `value` + `reach`, no further than the range goes."""
    least, most = range
    low, high = value - reach, value + reach
    return (
        low if least is None else max(least, low),
        high if most is None else min(most, high),
    )


def clusters(values: pd.Series, people: Mapping[str, int]) -> NDArray[np.int64]:
    """The person behind each value; every row about the world is a cluster of its own."""
    numbers = np.array([people.get(str(row), -1) for row in values.index], dtype=np.int64)
    alone = numbers < 0
    numbers[alone] = -1 - np.arange(int(alone.sum()))
    return numbers
