"""Computes a model's place between gold (0) and the original (1), with an interval by person."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clearbench.evaluation.intervals import MIN_CLUSTERS, interval
from clearbench.evaluation.score import Range
from clearbench.libraries import pd, stats

#: Least gap between the original and gold where there are too few people for an interval, and where
#: there are enough.
SMALLEST_GAP, SMALLEST_SURE_GAP = 0.05, 0.001
#: Columns that name one value of a model.
CELL = ("unit", "row", "level")

Floats = NDArray[np.float64]


class Place(NamedTuple):
    """A ratio of means with its 95 % interval, or the reason why there is none.

    Attributes:
        value: Ratio; None where it cannot be said.
        low: Lower end; None with fewer than five people.
        high: Upper end.
        people: Number of people, or of rows about nobody.
        rows: Number of rows.
        why: Reason; empty where there is a ratio.
    """

    value: float | None
    low: float | None
    high: float | None
    people: int
    rows: int
    why: str = ""


class Mean(NamedTuple):
    """A mean over people of the means over their values, with its 95 % interval."""

    value: float
    low: float | None
    high: float | None
    people: int
    rows: int


def cells(lines: pd.DataFrame) -> pd.Series:
    """Indexes values by person (each row about nobody is a unit of its own), row and level."""
    units = [
        f"person {person}" if person >= 0 else f"row {row}"
        for person, row in zip(lines["person"], lines["row"], strict=True)
    ]
    names = pd.DataFrame(dict(zip(CELL, (units, lines["row"], lines["level"]), strict=True)))
    index = pd.MultiIndex.from_frame(names.astype(str))
    return pd.Series(lines["value"].to_numpy(dtype=float), index=index).sort_index()


def mean_by_person(values: pd.Series, range: Range = (0.0, 1.0)) -> Mean:
    """Computes the mean over people of the means over their values.

    Args:
        values: Values as `cells` gives them.
        range: Bounds of the interval.
    """
    units = _units(values)
    count, value = len(units), float(units.mean())
    error = float(units.std(ddof=1)) / np.sqrt(count) if count > 1 else 0.0
    low, high = interval(value, error, count, range)
    return Mean(value, low, high, count, _rows(values))


def place(model: pd.Series, gold: pd.Series, original: pd.Series, comparisons: int = 1) -> Place:
    """Computes (model - gold) / (original - gold), of means over people of their values' means.

    The interval is Fieller's (1954) for the ratio of two means that are measured on the same
    people: exact for normal differences as long as the denominator is not looked at first, and it
    has no seed. A ratio is given only where the denominator is above 0 on its own interval (there
    Fieller's is finite) and above 0.001; over such cases it covers .93 to .95. With
    fewer than five people there is no interval, and the denominator must be above 0.05. Only
    the choice of people is in it, not the models' seeds.

    Args:
        model: Values of the attacked model, as `cells` gives them.
        gold: Values of gold; what not all three have is left out.
        original: Values of the original.
        comparisons: Number of ratios of which this one was chosen as the largest (Bonferroni).
    """
    shared = model.index.intersection(gold.index).intersection(original.index)
    if shared.empty:
        return Place(None, None, None, 0, 0, "no row was measured on all three models")
    ours, floor, top = (_units(each.loc[shared]) for each in (model, gold, original))
    above, gap = ours - floor, top - floor
    count, rows = len(gap), _rows(model.loc[shared])
    spread = np.cov(above, gap, ddof=1) / count if count > 1 else np.zeros((2, 2))
    quantile = float(stats.t.ppf(1 - 0.025 / comparisons, count - 1)) if count > 1 else 0.0
    least = quantile * np.sqrt(spread[1, 1]) if count >= MIN_CLUSTERS else SMALLEST_GAP
    if gap.mean() <= max(least, SMALLEST_SURE_GAP):
        what = f"the original knows {top.mean():.3f}, gold {floor.mean():.3f}: no clear difference"
        return Place(None, None, None, count, rows, what)
    ratio = float(above.mean() / gap.mean())
    if count < MIN_CLUSTERS:
        return Place(ratio, None, None, count, rows)
    low, high = _fieller(float(above.mean()), float(gap.mean()), spread, quantile)
    return Place(ratio, low, high, count, rows)


def _fieller(above: float, gap: float, spread: Floats, quantile: float) -> tuple[float, float]:
    """Solves (above - r gap)^2 = quantile^2 Var(above - r gap) for r."""
    square = quantile**2
    a = gap**2 - square * spread[1, 1]
    b = above * gap - square * spread[0, 1]
    c = above**2 - square * spread[0, 0]
    reach = np.sqrt(max(b * b - a * c, 0.0))
    return float((b - reach) / a), float((b + reach) / a)


def _units(values: pd.Series) -> Floats:
    means: Floats = values.groupby(level="unit").mean().to_numpy(dtype=float)
    return means


def _rows(values: pd.Series) -> int:
    return int(values.index.get_level_values("row").nunique())
