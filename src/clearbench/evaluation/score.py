"""A number with what it takes to believe it: interval, counts, direction, gold's value, version."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from scipy import stats

from clearbench.evaluation.records import clusters

Direction = Literal["up", "down", "gold"]
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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None
    n: int
    clusters: int
    direction: Direction
    range: tuple[float, float] = (0.0, 1.0)
    gold: float | None = None
    original: float | None = None
    statistic: float | None = None
    version: int = 1


def mean_score(
    values: pd.Series,
    people: dict[str, int],
    direction: Direction,
    version: int = 1,
    range: tuple[float, float] = (0.0, 1.0),
) -> Score:
    """The mean of per-row values with an interval clustered by person.

    The variance is that of cluster sums of residuals (CR1), with a t quantile on clusters - 1.
    """
    numbers = values.to_numpy(dtype=float)
    groups, index = np.unique(clusters(values, people), return_inverse=True)
    mean, count = float(numbers.mean()), len(groups)
    low = high = None
    if count >= MIN_CLUSTERS:
        sums = np.bincount(index, weights=numbers - mean, minlength=count)
        error = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(numbers)
        reach = float(stats.t.ppf(0.975, count - 1) * error)
        low, high = max(range[0], mean - reach), min(range[1], mean + reach)
    return Score(
        value=mean,
        low=low,
        high=high,
        n=len(numbers),
        clusters=count,
        direction=direction,
        range=range,
        version=version,
    )
