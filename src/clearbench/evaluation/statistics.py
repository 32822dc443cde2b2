"""Honest statistics over several runs: seeds, the null band of retraining, who counts, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import pandas as pd
from scipy import stats

from clearbench.data.modality import modality
from clearbench.errors import DataError
from clearbench.evaluation.metrics.truth_ratio import known
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score, within
from clearbench.evaluation.scoring import score

#: Fewer seeds than this give no interval.
MIN_SEEDS = 3

Scores = Mapping[str, Score]


class Combined(Score):
    """A score over several seeds: the mean of `value`, `gold` and `original`.

    Attributes:
        seeds: How many there are.
        spread: Standard deviation over seeds; None for one.
        low: Lower end of a 95 % interval; None under three seeds or five people.
    """

    seeds: int
    spread: float | None = None


def combine(runs: Sequence[Scores]) -> dict[str, Combined]:
    """The scores that every run has, over runs that differ in their seed only.

    Seeds are independent, but all of them measure the same people, so seeds do not average the
    choice of people away: the half-width is sqrt((t s / sqrt k)^2 + p^2), with k seeds of standard
    deviation s, t the 97.5 % quantile on k - 1, and p the mean half-width over people. This is
    two-way clustering by seed and person (Cameron, Gelbach and Miller 2011) without the term that
    it subtracts for what both share, so the interval is too wide rather than too narrow.
    """
    shared = set.intersection(*(set(run) for run in runs)) if runs else set()
    return {key: _combined([run[key] for run in runs]) for key in sorted(shared)}


def _combined(scores: Sequence[Score]) -> Combined:
    numbers, count = np.array([each.value for each in scores]), len(scores)
    value, spread = float(numbers.mean()), float(numbers.std(ddof=1)) if count > 1 else None
    low, high = _ends(scores, value, spread)
    return Combined(
        value=value,
        low=low,
        high=high,
        n=min(each.n for each in scores),
        clusters=min(each.clusters for each in scores),
        direction=scores[0].direction,
        range=scores[0].range,
        gold=_mean([each.gold for each in scores]),
        original=_mean([each.original for each in scores]),
        version=scores[0].version,
        seeds=count,
        spread=spread,
    )


def _ends(
    scores: Sequence[Score], value: float, spread: float | None
) -> tuple[float | None, float | None]:
    count = len(scores)
    reaches = [
        max(each.value - each.low, each.high - each.value)
        for each in scores
        if each.low is not None and each.high is not None
    ]
    if spread is None or count < MIN_SEEDS or len(reaches) < count:
        return None, None
    of_seeds = float(stats.t.ppf(0.975, count - 1)) * spread / np.sqrt(count)
    return within(value, float(np.hypot(of_seeds, np.mean(reaches))), scores[0].range)


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return float(np.mean(known)) if known and len(known) == len(numbers) else None


@dataclass(frozen=True)
class Band:
    """What a number is when nothing is left to forget: gold against gold of another seed.

    Of n golds the gap holds one more retrained model with a probability of at least 1 - 1/n: as
    draws of one distribution, each is equally often the one farthest from the reference.

    Attributes:
        low: Smallest value over the pairs.
        high: Largest value over the pairs.
        gap: Largest distance between two golds' values.
        pairs: Ordered pairs behind it.
    """

    low: float
    high: float
    gap: float
    pairs: int

    def holds(self, value: float, gold: float) -> bool:
        """Whether a model is as near to gold as another gold is."""
        return abs(value - gold) <= self.gap


def null_band(golds: Sequence[Records], protocol: str = "clear") -> dict[str, Band]:
    """Every score of each gold with each other as its reference.

    Args:
        golds: Records of models retrained without the same people, from different seeds.
        protocol: Which scores.

    Raises:
        DataError: There are fewer than two.
    """
    if len(golds) < 2:
        raise DataError("one gold model has no band", "null_band", "give two or more seeds")
    found: dict[str, list[Score]] = {}
    for ours, other in permutations(golds, 2):
        for key, each in score(ours, other, None, protocol).items():
            found.setdefault(key, []).append(each)
    return {key: _band(each) for key, each in sorted(found.items())}


def _band(scores: Sequence[Score]) -> Band:
    values = [each.value for each in scores]
    gaps = [abs(each.value - each.gold) for each in scores if each.gold is not None]
    return Band(min(values), max(values), max(gaps, default=0.0), len(scores))


def eligible(records: Records, original: Records, blank: Records | None = None) -> Records:
    """The records of rows that the original model knew, and needed the image for.

    A row is known where the truth is likelier than every wrong answer, or a classifier's label
    than every other name; rows without wrong answers cannot be judged and stay.

    Args:
        records: Of any model on the same rows.
        original: Of the model before unlearning.
        blank: Of the original shown blank images: what it knows without looking does not count.
    """
    out = {str(row) for cell in original.cells().values() for row in _where(~known(cell))}
    for (_, track, _), cell in (blank.cells() if blank is not None else {}).items():
        out |= {str(row) for row in _where(known(cell)) if modality(track).media}
    frames = (records.answers, records.generations, records.logged)
    kept = [frame[~frame["row"].isin(out)].reset_index(drop=True) for frame in frames]
    return replace(records, answers=kept[0], generations=kept[1], logged=kept[2])


def _where(chosen: pd.Series) -> pd.Index:
    return chosen.index[chosen.to_numpy(dtype=bool)]


def rank_correlations(runs: Sequence[Scores]) -> pd.DataFrame:
    """Spearman's correlation of how two metrics rank the same runs, from best to worst.

    A metric whose ideal is gold ranks by distance to gold. Metrics that some run lacks, or that
    rank nothing because all runs are alike, are left out.

    Returns:
        (metrics, metrics), by key.
    """
    shared = sorted(set.intersection(*(set(run) for run in runs))) if runs else []
    table = pd.DataFrame(
        {key: [_badness(run[key]) for run in runs] for key in shared}, dtype=float
    ).dropna(axis="columns")
    varied = table.loc[:, table.nunique() > 1]
    return varied.corr(method="spearman")


def _badness(each: Score) -> float:
    if each.direction == "gold":
        return np.nan if each.gold is None else abs(each.value - each.gold)
    return -each.value if each.direction == "up" else each.value
