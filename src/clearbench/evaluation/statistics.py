"""Computes statistics over runs: seeds, the null band of retraining, eligible rows, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clearbench.data.modality import modality
from clearbench.evaluation.intervals import within
from clearbench.evaluation.metrics.truth_ratio import known
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Band, Combined, Score
from clearbench.libraries import pd, stats

#: Number of seeds below which there is no interval.
MIN_SEEDS = 3

Scores = Mapping[str, Score]


def combine(runs: Sequence[Scores]) -> dict[str, Combined]:
    """Combines the scores that every run has, over runs that differ in their seed only.

    Seeds are independent, but all of them measure the same people, so seeds do not average the
    choice of people away: the half-width is sqrt((t s / sqrt k)^2 + p^2), with k seeds of standard
    deviation s, t the 97.5 % quantile on k - 1, and p the mean half-width over people. This is
    two-way clustering by seed and person (Cameron, Gelbach and Miller 2011) without the term that
    it subtracts for what both share, so the interval is too wide rather than too narrow.
    """
    shared = set.intersection(*(set(run) for run in runs)) if runs else set()
    return {key: _combined([run[key] for run in runs]) for key in sorted(shared)}


def _combined(scores: Sequence[Score]) -> Combined:
    numbers, count = np.array([score.value for score in scores]), len(scores)
    value, spread = float(numbers.mean()), float(numbers.std(ddof=1)) if count > 1 else None
    low, high = _ends(scores, value, spread)
    return Combined(
        value=value,
        low=low,
        high=high,
        n=min(score.n for score in scores),
        clusters=min(score.clusters for score in scores),
        direction=scores[0].direction,
        range=scores[0].range,
        gold=_mean([score.gold for score in scores]),
        original=_mean([score.original for score in scores]),
        version=scores[0].version,
        seeds=count,
        spread=spread,
    )


def _ends(
    scores: Sequence[Score], value: float, spread: float | None
) -> tuple[float | None, float | None]:
    count = len(scores)
    reaches = [
        max(score.value - score.low, score.high - score.value)
        for score in scores
        if score.low is not None and score.high is not None
    ]
    if spread is None or count < MIN_SEEDS or len(reaches) < count:
        return None, None
    of_seeds = float(stats.t.ppf(0.975, count - 1)) * spread / np.sqrt(count)
    return within(value, float(np.hypot(of_seeds, np.mean(reaches))), scores[0].range)


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known and len(known) == len(numbers) else None


def band(scores: Sequence[Score]) -> Band:
    """Computes the band of one score, from golds that have each other as reference."""
    values = [score.value for score in scores]
    gaps = [abs(score.value - score.gold) for score in scores if score.gold is not None]
    return Band(min(values), max(values), max(gaps, default=0.0), len(scores))


def eligible(records: Records, original: Records, blank: Records | None = None) -> Records:
    """Keeps the records of rows that the original model knew, and needed the image for.

    A row is known where the truth is likelier than every wrong answer, or a classifier's label
    than every other name; rows without wrong answers cannot be judged and stay.

    Args:
        records: Records of any model on the same rows; every table of measured rows is filtered.
        original: Records of the model before unlearning.
        blank: Records of the original under blank images: rows it knows without an image do
            not count.
    """
    excluded = {str(row) for group in original.groups().values() for row in _chosen(~known(group))}
    for key, group in (blank.groups() if blank is not None else {}).items():
        excluded |= {str(row) for row in _chosen(known(group)) if modality(key.track).media}
    return records.without(excluded)


def _chosen(rows: pd.Series) -> pd.Index:
    return rows.index[rows.to_numpy(dtype=bool)]


def rank_correlations(runs: Sequence[Scores]) -> pd.DataFrame:
    """Computes Spearman's correlation of how two metrics rank the same runs, best to worst.

    A metric whose ideal is gold ranks by distance to gold. Metrics that some run lacks, or that
    rank nothing because all runs are alike, are left out.

    Returns:
        Correlations by key, (metrics, metrics).
    """
    shared = sorted(set.intersection(*(set(run) for run in runs))) if runs else []
    table = pd.DataFrame(
        {key: [_badness(run[key]) for run in runs] for key in shared}, dtype=float
    ).dropna(axis="columns")
    varied = table.loc[:, table.nunique() > 1]
    return varied.corr(method="spearman")


def _badness(score: Score) -> float:
    if score.direction == "gold":
        return np.nan if score.gold is None else abs(score.value - score.gold)
    return -score.value if score.direction == "up" else score.value
