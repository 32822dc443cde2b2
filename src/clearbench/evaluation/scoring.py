"""From records to scores: per-row metrics, comparisons with gold, and aggregates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from clearbench.errors import DataError
from clearbench.evaluation.metric import metrics
from clearbench.evaluation.metrics.truth_ratio import ratios
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import Cell, Records
from clearbench.evaluation.score import Score, mean_score

Scores = dict[str, Score]
TRACKS = ("text", "image")


def score(
    records: Records,
    reference: Records | None = None,
    original: Records | None = None,
    protocol_name: str = "clear",
) -> Scores:
    """Every score of one model, by key `<split>.<track>.<metric>`.

    Args:
        records: The model's.
        reference: Gold's: adds forget quality and fills `gold` in every score.
        original: The original's: fills `original`.
        protocol_name: Which set of metrics and aggregates.
    """
    chosen = protocol(protocol_name)
    scores = _row_scores(records)
    scores |= chosen.aggregates({key: each.value for key, each in scores.items()})
    if reference is not None:
        for track in TRACKS:
            scores |= _forget_quality(records, reference, track)
    for field, other in (("gold", reference), ("original", original)):
        if other is not None:
            known = score(other, reference, None, protocol_name) if other is not records else scores
            scores = {
                key: each.model_copy(update={field: known[key].value}) if key in known else each
                for key, each in scores.items()
            }
    return dict(sorted(scores.items()))


def _row_scores(records: Records) -> Scores:
    found: Scores = {}
    for (split, track, task), cell in records.cells().items():
        for name, metric in metrics().items():
            if not metric.applies(split, task):
                continue
            values = metric.per_row(cell, split)
            if values.empty:
                continue
            if not np.isfinite(values).all():
                raise DataError(
                    f"{name} is not finite on {int((~np.isfinite(values)).sum())} rows",
                    f"{split}.{track}",
                    "the model's outputs are not finite; its run has diverged",
                )
            key = f"{split}.{track}.{name.partition('#')[0]}"
            found[key] = mean_score(
                values, cell.people, metric.direction(split), metric.version, metric.range
            )
    return found


def truth_ratios(records: Records, track: str) -> pd.Series:
    """Per forget row of a track, r: what the curves and forget quality are drawn from."""
    task = "qa" if track == "text" else "caption"
    cell = records.cells().get(("forget", track, task))
    return pd.Series(dtype=float) if cell is None else ratios(cell)


def _forget_quality(records: Records, reference: Records, track: str) -> Scores:
    ours, gold = truth_ratios(records, track), truth_ratios(reference, track)
    if ours.empty or gold.empty:
        return {}
    test = stats.ks_2samp(ours, gold)
    cell = Cell(records.answers, records.generations)
    of = cell.people
    people = {of[str(row)] for row in ours.index}
    shared = ours.index.intersection(gold.index)

    def quality(value: float, statistic: float | None = None) -> Score:
        return Score(
            value=value, n=len(ours), clusters=len(people), direction="up", statistic=statistic
        )

    return {
        f"forget.{track}.forget_quality": quality(float(test.pvalue), float(test.statistic)),
        f"forget.{track}.forget_quality_js": quality(1 - shared_histogram(ours, gold)),
        f"forget.{track}.forget_quality_js_aligned": quality(
            1 - aligned(ours.loc[shared], gold.loc[shared])
        ),
    }


def shared_histogram(ours: ArrayLike, gold: ArrayLike, bins: int = 20) -> float:
    """Jensen-Shannon distance of two samples of r on shared bins of log r (20 equal ones)."""
    a, b = np.log(_bounded(ours)), np.log(_bounded(gold))
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins)
    return _distance(np.histogram(a, edges)[0], np.histogram(b, edges)[0])


def aligned(ours: ArrayLike, gold: ArrayLike) -> float:
    """The published distance of index-aligned vectors; it changes when rows are permuted (E02)."""
    return _distance(_bounded(ours), _bounded(gold))


def _bounded(ratios: ArrayLike) -> NDArray[np.float64]:
    """A destroyed model's ratios underflow to 0 or overflow; they count as extreme, not as NaN."""
    bounded: NDArray[np.float64] = np.clip(np.asarray(ratios, float), 1e-200, 1e200)
    return bounded


def _distance(ours: NDArray[Any], gold: NDArray[Any]) -> float:
    """Jensen-Shannon distance by scipy; rounding can leave it the root of -1e-17, which is 0."""
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(jensenshannon(ours, gold), nan=0.0))


def values(scores: Mapping[str, Score]) -> dict[str, float]:
    """The bare numbers."""
    return {key: each.value for key, each in scores.items()}
