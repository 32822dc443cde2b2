"""Computes what an attack finds between golds, where nothing is left to find."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from clearbench.attacks.base import Attack
from clearbench.errors import DataError
from clearbench.evaluation.metric import Collections, Shadow
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Band, Score
from clearbench.evaluation.scoring import with_gold_and_original
from clearbench.evaluation.statistics import band


def scores_of(chosen: Attack, collections: Collections) -> dict[str, Score]:
    """Computes an attack's scores on every track, by key."""
    tracks = collections.tracks
    return {k: score for track in tracks for k, score in chosen.scores(collections, track).items()}


def null_band_of(
    chosen: Attack, golds: Sequence[Records], shadows: Sequence[Shadow] = ()
) -> dict[str, Band]:
    """Computes the range of every score of an attack over golds, each with each other as reference.

    A model whose score leaves it is not what another retraining would give. What shadow models say
    of themselves has no band: they are made like the attacked model, not like gold.

    Args:
        chosen: Configured attack.
        golds: Records of golds of different seeds, with the attack's table where it reads one.
        shadows: Shadow models that the attack on the model learns from.

    Raises:
        DataError: There are fewer than two golds.
    """
    if len(golds) < 2:
        raise DataError("one gold model has no band", "null_band_of", "give two or more seeds")
    found: dict[str, list[Score]] = {}
    for ours, other in permutations(golds, 2):
        given = Collections(ours, (other,), shadows=tuple(shadows), borrowed=bool(shadows))
        scores = with_gold_and_original(given, lambda each: scores_of(chosen, each))
        for key, score in scores.items():
            found.setdefault(key, []).append(score)
    return {key: band(scores) for key, scores in sorted(found.items())}
