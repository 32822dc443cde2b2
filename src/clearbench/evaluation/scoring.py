"""From records to scores: metrics of rows, comparisons with gold, and aggregates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pandas as pd

from clearbench.data.modality import modalities
from clearbench.evaluation.metric import Comparison, Metric, View
from clearbench.evaluation.metrics.truth_ratio import ratios
from clearbench.evaluation.protocols import Protocol, protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score

Scores = dict[str, Score]


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
        original: The original's: adds the divergence from it and fills `original`.
        protocol_name: Which set of metrics and aggregates.

    Raises:
        DataError: The records lack what the protocol needs; every missing score is named.
    """
    scores = dict(_alone(records, reference, original, protocol_name))
    protocol(protocol_name).check(scores, reference is not None)
    for field, other in (("gold", reference), ("original", original)):
        if other is not None:
            known = _alone(other, reference, original, protocol_name)
            scores = {
                key: each.model_copy(update={field: known[key].value}) if key in known else each
                for key, each in scores.items()
            }
    return dict(sorted(scores.items()))


@lru_cache(maxsize=8)
def _alone(
    records: Records, reference: Records | None, original: Records | None, protocol_name: str
) -> Mapping[str, Score]:
    """A model's scores without gold's and the original's beside them; those two come up often."""
    chosen = protocol(protocol_name)
    gold, first = (each.cells() if each is not None else {} for each in (reference, original))
    view = View(records.cells(), gold, first)
    found = _measured(view, chosen)
    return found | chosen.aggregates({key: each.value for key, each in found.items()})


def split_scores(records: Records, protocol_name: str) -> Scores:
    """Scores of every split that is there: no gold, no aggregate, nothing refused as missing."""
    return _measured(View(records.cells()), protocol(protocol_name))


def _measured(view: View, chosen: Protocol) -> Scores:
    found: Scores = {}
    for suffix, measure in chosen.measures():
        if issubclass(measure, Metric):
            for (split, track, task), cell in view.cells.items():
                each = measure.score(cell, split) if measure.applies(split, task) else None
                if each is not None:
                    found[f"{split}.{track}.{suffix}"] = each
        elif issubclass(measure, Comparison):
            for track in modalities():
                for key, each in measure.compare(view, track).items():
                    place, _, name = key.rpartition(".")
                    found[f"{place}.{name.replace(measure.name, suffix, 1)}"] = each
    return found


def truth_ratios(records: Records, track: str) -> pd.Series:
    """Per forget row of a track, r: what the curves and forget quality are drawn from."""
    cell = View(records.cells()).main("forget", track)
    return pd.Series(dtype=float) if cell is None else ratios(cell)
