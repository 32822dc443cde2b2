"""Computes metric scores of records: row metrics, comparisons with gold, and aggregates.

`clearbench.attacks.scoring` adds the membership attacks; its functions are the public ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from clearbench.evaluation.metric import Collections, Comparison, Metric, main_group
from clearbench.evaluation.metrics.truth_ratio import ratios
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score

Scores = dict[str, Score]


def measured(collections: Collections, metrics: Sequence[Metric | Comparison]) -> Scores:
    """Computes the model's metric scores by key; a metric without its records gives none."""
    scores: Scores = {}
    for metric in metrics:
        if isinstance(metric, Metric):
            for key, group in collections.model.groups().items():
                score = metric.score(group) if metric.applies(key) else None
                if score is not None:
                    scores[f"{key.split}.{key.track}.{metric.score_key}"] = score
        else:
            for track in collections.tracks:
                scores |= metric.compare(collections, track)
    return scores


def with_gold_and_original(
    collections: Collections, compute: Callable[[Collections], Scores]
) -> Scores:
    """Computes the model's scores, each with gold's and the original's value of the same number."""
    scores = dict(compute(collections))
    for field, other in (("gold", collections.gold), ("original", collections.original)):
        if other is not None:
            theirs = compute(collections.of(other))
            scores = {
                key: score.model_copy(update={field: theirs[key].value}) if key in theirs else score
                for key, score in scores.items()
            }
    return scores


def truth_ratios(records: Records, track: str) -> pd.Series:
    """Computes r per forget row of a track: the sample of the curves and of forget quality."""
    group = main_group(records, "forget", track)
    return pd.Series(dtype=float) if group is None else ratios(group)
