"""Computes metric scores of records: row metrics, comparisons with gold, and aggregates.

`clearbench.attacks.scoring` adds the membership attacks; its functions are the public ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from clearbench.errors import ClearbenchError, DataError
from clearbench.evaluation.metric import (
    Collections,
    Comparison,
    Metric,
    main_group,
    scored_groups,
)
from clearbench.evaluation.metrics.truth_ratio import ratios
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.libraries import pd

Scores = dict[str, Score]
#: Reasons why metrics of plugins failed, by their keys.
Failures = dict[str, str]
#: Distance beyond its bounds that a value may have by rounding.
_ROUNDING = 1e-6


def measured(
    collections: Collections, metrics: Sequence[Metric | Comparison]
) -> tuple[Scores, Failures]:
    """Computes the model's metric scores by key; a metric without its records gives none.

    Returns:
        Scores, and the reason for every metric of a plugin that failed, by its key. A metric of
        ours that fails is an error: either it is wrong, or the run has diverged.
    """
    scores: Scores = {}
    failures: Failures = {}
    for metric in metrics:
        if type(metric).__module__.startswith(f"{__package__.partition('.')[0]}."):
            scores |= _scores(metric, collections)
            continue
        try:
            scores |= _checked(metric, _scores(metric, collections))
        except ClearbenchError as error:
            failures[metric.score_key] = error.what
        except Exception as error:  # code of a plugin may raise anything: the run goes on
            failures[metric.score_key] = f"{type(error).__name__}: {error}".splitlines()[0]
    return scores, failures


def _scores(metric: Metric | Comparison, collections: Collections) -> Scores:
    scores: Scores = {}
    if isinstance(metric, Metric):
        for key, group in scored_groups(metric, collections.model.groups()).items():
            score = metric.score(group)
            if score is not None:
                scores[f"{key.split}.{key.track}.{metric.score_key}"] = score
    else:
        for track in collections.tracks:
            scores |= metric.compare(collections, track)
    return scores


def _checked(metric: Metric | Comparison, scores: Scores) -> Scores:
    """Refuses what is no score of a metric: a key of another shape, a value outside its range."""
    for key, score in scores.items():
        if not isinstance(score, Score):
            raise DataError(f"gives {type(score).__name__} for '{key}', not a Score")
        if len(str(key).split(".")) != 3:
            raise DataError(f"gives the key '{key}', not <split>.<track>.<name>")
        low, high = (bound for bound in metric.description.range)
        for name, number in score:
            if isinstance(number, float) and not math.isfinite(number):
                what = "" if name == "value" else f" as '{name}'"
                raise DataError(f"gives {number}{what} for '{key}'")
        if (low is not None and score.value < low - _ROUNDING) or (
            high is not None and score.value > high + _ROUNDING
        ):
            raise DataError(f"gives {score.value:g} for '{key}', outside {low} to {high}")
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
