"""Computes all scores of a model: metrics and attacks, with gold's and the original's values."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import permutations
from typing import Any, NamedTuple

from clearbench.attacks.base import ATTACKS, Attack, attack
from clearbench.attacks.membership import LEAK
from clearbench.attacks.roc import separates
from clearbench.errors import DataError
from clearbench.evaluation import scoring
from clearbench.evaluation.aggregates import AGGREGATES
from clearbench.evaluation.description import Description
from clearbench.evaluation.metric import METRICS, Collections, Comparison, Metric, Shadow
from clearbench.evaluation.over_forgetting import AREA
from clearbench.evaluation.protocol import Protocol
from clearbench.evaluation.protocols import protocol as named_protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Band, Score
from clearbench.evaluation.scoring import Failures, Scores
from clearbench.evaluation.statistics import band

FurtherMetrics = tuple[Metric | Comparison, ...]


class Scored(NamedTuple):
    """All scores of one model.

    Attributes:
        scores: Scores by key.
        failures: Reasons why metrics of plugins gave none, by the last part of their keys.
    """

    scores: Scores
    failures: Failures


def score(records: Records, *arguments: Any, **options: Any) -> Scores:
    """Computes every score of one model, by key, as `scored`; warns of plugins' metrics that fail.

    Raises:
        DataError: The records lack what the protocol needs; every missing score is named.
    """
    found = scored(records, *arguments, **options)
    for name, reason in found.failures.items():
        warnings.warn(f"metric '{name}' failed: {reason}", stacklevel=2)
    return found.scores


def scored(
    records: Records,
    reference: Records | None = None,
    original: Records | None = None,
    protocol: str = "clear",
    *,
    metrics: Iterable[Metric | Comparison] = (),
    golds: Sequence[Records] = (),
    controls: Mapping[str, Records] | None = None,
    shadows: Sequence[Shadow] = (),
) -> Scored:
    """Computes every score of one model, by key `<split>.<track>.<metric>`.

    Args:
        records: Records of the model.
        reference: Records of gold: adds forget quality and fills `gold` in every score.
        original: Records of the original: adds the divergence from it and fills `original`.
        protocol: Name of a set of metrics, attacks and aggregates.
        metrics: Metrics besides the protocol's.
        golds: Records of further golds.
        controls: Records of the model under changed media, by control.
        shadows: Shadow models made as the model was, and whom each was taught.

    Raises:
        DataError: The records lack what the protocol needs; every missing score is named.
    """
    collections = Collections(
        records,
        (*(() if reference is None else (reference,)), *golds),
        () if original is None else (original,),
        controls or {},
        tuple(shadows),
    )
    chosen, further = named_protocol(protocol), tuple(metrics)
    failures: Failures = {}

    def compute(given: Collections) -> Scores:
        found = _unpaired(given, chosen.name, further)
        failures.update(found.failures)
        return found.scores

    scores = scoring.with_gold_and_original(collections, compute)
    chosen.check(scores, reference is not None)
    sound = {key: value for key, value in scores.items() if key.split(".")[-1] not in failures}
    return Scored(dict(sorted(sound.items())), failures)


@lru_cache(maxsize=16)
def _unpaired(collections: Collections, protocol: str, further: FurtherMetrics) -> Scored:
    """Computes scores without gold's and the original's values; cached, as both recur per run."""
    chosen = named_protocol(protocol)
    scores, failures = _measured(collections, chosen, further)
    parts = chosen.aggregates({key: score.value for key, score in scores.items()})
    return Scored(scores | parts, failures)


def _measured(collections: Collections, chosen: Protocol, further: FurtherMetrics) -> Scored:
    scores, failures = scoring.measured(collections, (*chosen.metrics(), *further))
    for made in protocol_attacks(chosen):
        for track in collections.tracks:
            scores |= made.scores(collections, track)
    return Scored(scores, failures)


def protocol_attacks(chosen: Protocol) -> tuple[Attack, ...]:
    """Lists the configured attacks of a protocol."""
    if chosen.attacks is not None:
        return tuple(attack(**entry) for entry in chosen.attacks)
    every = (made for cls in ATTACKS.values() for made in cls.configured())
    return tuple(made for made in every if not made.description.erratum)


def undefined_leaks(scores: Mapping[str, Score]) -> Iterator[str]:
    """Yields a sentence for every PrivLeak that is not defined because gold's own AUC is 1.

    Args:
        scores: Scores of a model by key, with gold's values.
    """
    for key, score in scores.items():
        if key.endswith(AREA) and score.gold is not None and separates(score.gold):
            leak = f"{key.removesuffix(AREA)}_{LEAK}"
            if leak not in scores and leak.rpartition(".")[2] in descriptions():
                yield (
                    f"{leak} is not available: gold itself tells these people from the strangers "
                    "in every pair (AUC 1), and PrivLeak is divided by what gold leaves open; "
                    "compare the AUCs"
                )


def split_scores(records: Records, protocol: str, further: FurtherMetrics = ()) -> Scores:
    """Computes scores of every measured split: no gold, no aggregate, nothing is required."""
    return _measured(Collections(records), named_protocol(protocol), further).scores


def null_band(golds: Sequence[Records], protocol: str = "clear") -> dict[str, Band]:
    """Computes the range of every score over golds, each with each other as its reference.

    Args:
        golds: Records of models retrained without the same people, from different seeds.
        protocol: Name of a set of metrics, attacks and aggregates.

    Raises:
        DataError: There are fewer than two.
    """
    if len(golds) < 2:
        raise DataError("one gold model has no band", "null_band", "give two or more seeds")
    pairs: dict[str, list[Score]] = {}
    for ours, other in permutations(golds, 2):
        for key, value in scored(ours, other, None, protocol).scores.items():
            pairs.setdefault(key, []).append(value)
    return {key: band(scores) for key, scores in sorted(pairs.items())}


def descriptions(protocol: str = "clear", further: FurtherMetrics = ()) -> dict[str, Description]:
    """Describes every score that can be computed, by the last part of its keys.

    Maps any score to its title and group. Attacks have one per number that they give, aggregates
    one each; metrics outside the protocol are described in their own configurations.
    """
    chosen = named_protocol(protocol)
    others = [made for cls in METRICS.values() for made in cls.configured()]
    words = {made.score_key: made.description for made in (*others, *chosen.metrics(), *further)}
    for made in (*protocol_attacks(chosen), *(cls() for cls in ATTACKS.values())):
        words |= made.numbers()
    return words | {aggregate.name: aggregate.description for aggregate in AGGREGATES}
