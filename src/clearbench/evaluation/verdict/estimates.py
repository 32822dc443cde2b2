"""Estimates means and ratios of paired rows, with intervals clustered by person."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clearbench.libraries import stats

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its interval.

    Attributes:
        low: Lower end; minus infinity where there are too few people.
        people: Number of people (of rows, where they are about the world).
        rows: Number of rows.
    """

    value: float
    low: float
    high: float
    people: int
    rows: int


def mean(values: Values, people: NDArray[np.int64], confidence: float, least: int) -> Estimate:
    """Estimates a mean of rows.

    Args:
        values: One value per row.
        people: Person of each row.
        confidence: Level of the interval.
        least: Number of people below which the interval is unbounded.
    """
    centre = float(values.mean())
    return _estimate(centre, values - centre, people, confidence, least)


def ratio(
    above: Values, below: Values, people: NDArray[np.int64], confidence: float, least: int
) -> Estimate:
    """Estimates mean(above) / mean(below) by the delta method (Cochran 1977, section 6.3).

    Args:
        above: Numerator per row.
        below: Denominator per row; its mean is not 0.
        people: Person of each row.
        confidence: Level of the interval.
        least: Number of people below which the interval is unbounded.
    """
    centre = float(above.mean() / below.mean())
    residuals = (above - centre * below) / below.mean()
    return _estimate(centre, residuals, people, confidence, least)


def _estimate(
    centre: float,
    residuals: Values,
    people: NDArray[np.int64],
    confidence: float,
    least: int,
) -> Estimate:
    """Computes the interval from cluster sums of residuals, with the correction G / (G - 1)."""
    groups, index = np.unique(people, return_inverse=True)
    count = len(groups)
    if count < least:
        return Estimate(centre, -math.inf, math.inf, count, len(residuals))
    sums = np.bincount(index, weights=residuals, minlength=count)
    error = math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(residuals)
    reach = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error
    return Estimate(centre, centre - reach, centre + reach, count, len(residuals))


def widened(estimate: Estimate, reach: float) -> Estimate:
    """Widens an interval to at least `reach` on both sides."""
    return Estimate(
        estimate.value,
        min(estimate.low, estimate.value - reach),
        max(estimate.high, estimate.value + reach),
        estimate.people,
        estimate.rows,
    )


def rate_reach(rows: int, confidence: float) -> float:
    """Computes the rate that no event in `rows` leaves possible (rule of three at 95 %)."""
    return float(1.0 - (1.0 - confidence) ** (1.0 / rows))


def highest_rate(events: float, rows: int, confidence: float) -> float:
    """Computes the upper end of a rate's interval (Clopper and Pearson 1934)."""
    level = (1 + confidence) / 2
    return 1.0 if events >= rows else float(stats.beta.ppf(level, events + 1, rows - events))
