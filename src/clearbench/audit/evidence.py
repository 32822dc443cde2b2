"""Holds what an audit rests on, and estimates numbers of it with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from clearbench.audit.schema import MadeAttack, Number, Scale, Unit
from clearbench.audit.settings import AuditSettings
from clearbench.evaluation.verdict import estimates
from clearbench.evaluation.verdict.evidence import LIKELIHOOD
from clearbench.evaluation.verdict.tests import LEAST_GAP

#: Chance with which a difference of the smallest size that could be seen is seen.
POWER = 0.8
Column = Literal["run", "gold", "original"]


@dataclass(frozen=True)
class Evidence:
    """Values of the audited model, of gold and of the original, and what attacks gave.

    Attributes:
        rows: Lines of `verdict.evidence.COLUMNS` by score key; columns of models that were not
            given are not numbers.
        tracks: Tracks on which there are rows about the people.
        kind: Kind of model.
        gold: Whether a model that never met the people was given.
        original: Whether the model before unlearning was given.
        people: Number of people who should be forgotten.
        attacks: Attacks that were made, or not.
        attacked: Lines of the membership attacks' table by attack: row, person, split and the
            values of the model and of gold.
    """

    rows: Mapping[str, pd.DataFrame]
    tracks: tuple[str, ...]
    kind: str
    gold: bool
    original: bool
    people: int
    settings: AuditSettings = field(default_factory=AuditSettings)
    attacks: tuple[MadeAttack, ...] = ()
    attacked: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def of(self, key: str, *models: Column) -> pd.DataFrame | None:
        """Returns the lines of a score that have values of these models; None without any."""
        found = self.rows.get(key)
        if found is None:
            return None
        complete = found.dropna(subset=["run", *models])
        return None if complete.empty else complete

    def listed(self, keys: Iterable[str], *models: Column) -> dict[str, pd.DataFrame]:
        """Returns the lines of those of the scores that have values of these models."""
        found = ((key, self.of(key, *models)) for key in keys)
        return {key: rows for key, rows in found if rows is not None}


def either(rates: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Joins rates of the same rows: 1 where any of them is, so that nothing is counted twice."""
    every = pd.concat(list(rates), ignore_index=True)
    models = ["run", "gold", "original"]
    return every.groupby(["person", "row"], sort=False, as_index=False)[models].max()


def distinct(lines: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Drops scores that have the values of one before them: they are one test, not two."""
    kept: dict[str, pd.DataFrame] = {}
    for key, rows in lines.items():
        if not any(_same(rows, other) for other in kept.values()):
            kept[key] = rows
    return kept


def _same(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    values = [
        rows.sort_values("row")[["row", "run", "gold", "original"]].reset_index(drop=True)
        for rows in (first, second)
    ]
    return values[0].equals(values[1])


@dataclass(frozen=True)
class Tested:
    """A number, and the bounds by which it is judged, wider than the interval that is shown."""

    number: Number
    low: float
    high: float


def units(rows: pd.DataFrame, settings: AuditSettings) -> tuple[NDArray[np.int64], Unit]:
    """Numbers the units of an interval: people, or questions where people are few.

    Over questions an interval is about these people alone, and about further questions on them.
    """
    if rows["person"].nunique() >= settings.people:
        return rows["person"].to_numpy(np.int64), "people"
    return pd.factorize(rows["row"])[0].astype(np.int64), "questions"


def rate(name: str, rows: pd.DataFrame, settings: AuditSettings, tests: int = 1) -> Tested:
    """Estimates the mean of the model's values.

    Args:
        name: Name of the number.
        rows: Lines with the model's values.
        settings: Thresholds.
        tests: Number of tests that share the error.
    """
    values = rows["run"].to_numpy(float)
    return _within(_tested(name, rows, values, None, settings, tests, "value"), 0.0)


def _within(found: Tested, least: float) -> Tested:
    """Cuts the interval that is shown to what a rate, or a difference of two, can be."""
    low, high = found.number.low, found.number.high
    if low is None or high is None:
        return found
    inside = {"low": max(low, least), "high": min(high, 1.0)}
    return replace(found, number=found.number.model_copy(update=inside))


def difference(
    name: str, rows: pd.DataFrame, other: Column, settings: AuditSettings, tests: int = 1
) -> Tested:
    """Estimates the mean difference from another model's values on the same rows."""
    values = (rows["run"] - rows[other]).to_numpy(float)
    return _within(_tested(name, rows, values, None, settings, tests, "difference"), -1.0)


def share_left(
    name: str, rows: pd.DataFrame, settings: AuditSettings, tests: int = 1
) -> Tested | None:
    """Estimates (model - gold) / (original - gold); None where the original had no more than gold.

    0 is gold, 1 the original. The interval is that of a ratio of means (delta method).
    """
    gap = (rows["original"] - rows["gold"]).to_numpy(float)
    if gap.mean() < LEAST_GAP:
        return None
    above = (rows["run"] - rows["gold"]).to_numpy(float)
    return _tested(name, rows, above, gap, settings, tests, "place")


def misplaced(evidence: Evidence) -> Iterator[str]:
    """Yields tracks on which gold surely finds the true answers likelier than the original does."""
    for track in evidence.tracks:
        rows = evidence.of(f"forget.{track}.{LIKELIHOOD}", "gold", "original")
        if rows is None:
            continue
        before = rows.assign(run=rows["original"])
        if difference("", before, "gold", evidence.settings).high < 0:
            levels = " and ".join(f"{rows[column].mean():.3g}" for column in ("gold", "original"))
            yield (
                "gold finds the true answers about the people likelier than the model before "
                f"unlearning does ({track}: {levels}); --reference and --original may be in each "
                "other's place"
            )


def ratio(
    name: str, rows: pd.DataFrame, other: Column, settings: AuditSettings, tests: int = 1
) -> Tested | None:
    """Estimates the ratio to another model's mean; None where that has nothing."""
    below = rows[other].to_numpy(float)
    if below.mean() < LEAST_GAP:
        return None
    return _tested(name, rows, rows["run"].to_numpy(float), below, settings, tests, "ratio")


def _tested(
    name: str,
    rows: pd.DataFrame,
    above: NDArray[np.float64],
    below: NDArray[np.float64] | None,
    settings: AuditSettings,
    tests: int,
    scale: Scale,
) -> Tested:
    groups, unit = units(rows, settings)
    least = 2 if unit == "questions" else settings.people

    def estimated(level: float) -> estimates.Estimate:
        if below is None:
            return estimates.mean(above, groups, level, least)
        return estimates.ratio(above, below, groups, level, least)

    def widened(found: estimates.Estimate, level: float) -> estimates.Estimate:
        """No interval of a rate is narrower than what so many units without an event allow."""
        if below is not None or not counted:
            return found
        return estimates.widened(found, estimates.rate_reach(found.people, level))

    counted = set(rows["run"]) <= {0.0, 1.0}
    level = 1 - (1 - settings.confidence) / tests
    found = estimated(settings.confidence)
    shown = widened(found, settings.confidence)
    judged = widened(estimated(level), level)
    bounded = math.isfinite(shown.low)
    means = {column: float(rows[column].mean()) for column in ("gold", "original")}
    number = Number(
        name=name,
        value=shown.value,
        scale=scale,
        low=shown.low if bounded else None,
        high=shown.high if bounded else None,
        **{column: value for column, value in means.items() if math.isfinite(value)},
        rows=len(rows),
        people=int(rows["person"].nunique()),
        unit=unit,
        detectable=_detectable(found, settings, counted) if bounded else None,
    )
    return Tested(number, judged.low, judged.high)


def _detectable(found: estimates.Estimate, settings: AuditSettings, counted: bool) -> float:
    """Computes the smallest difference that is seen with a chance of `POWER`.

    It is (t of the interval + t of the power) standard errors. Of what is counted it is at least
    the rate that so many units without an event leave possible: units that agree have no spread.
    """
    degrees = found.people - 1
    quantile = float(stats.t.ppf((1 + settings.confidence) / 2, degrees))
    error = (found.high - found.low) / 2 / quantile
    seen = (quantile + float(stats.t.ppf(POWER, degrees))) * error
    least = estimates.rate_reach(found.people, settings.confidence) if counted else 0.0
    return max(seen, least)
