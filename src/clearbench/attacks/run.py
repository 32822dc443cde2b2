"""Runs one attack on a model: measures what it reads, and computes its table and scores."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from clearbench.attacks.base import Attack, Target
from clearbench.attacks.membership import SIDES
from clearbench.data.dataset import Dataset
from clearbench.evaluation.engine import evaluate, sample
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.scoring import with_gold_and_original
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.base import Model


@dataclass(frozen=True)
class Attacked:
    """Outcome of an attack.

    Attributes:
        table: Lines of the attack's table: one per attacked row.
        scores: Scores by key, with gold's value where there is a reference.
    """

    table: pd.DataFrame
    scores: dict[str, Score]


def run(
    model: Model,
    dataset: Dataset,
    chosen: Attack,
    reference: Model | Records | None = None,
    limit: int | None = None,
) -> Attacked:
    """Attacks a model on the forget and holdout rows of a dataset.

    Args:
        model: Attacked model; left as it was.
        dataset: Dataset whose measured splits are used.
        chosen: Configured attack.
        reference: Gold model, or its records.
        limit: Rows per split and task, whole people; None for all.
    """
    rows = sample(dataset, limit)
    golds = () if reference is None else (_attacked(reference, rows, chosen, ()),)
    records = _attacked(model, rows, chosen, golds)
    collections = Collections(records, golds)

    def scores(given: Collections) -> dict[str, Score]:
        return {
            key: score
            for track in given.tracks
            for key, score in chosen.scores(given, track).items()
        }

    compared = with_gold_and_original(collections, scores)
    table = records.table(chosen.written)
    return Attacked(table[table["attack"] == chosen.score_key].reset_index(drop=True), compared)


def _attacked(
    model: Model | Records, rows: Dataset, chosen: Attack, golds: tuple[Records, ...]
) -> Records:
    """Measures a model and adds the attack's table to the records."""
    if isinstance(model, Records):
        return model
    settings = EvaluationSettings.of(
        protocol="openunlearning", splits=SIDES, limit=None, max_new_tokens=1
    )
    records = evaluate(model, rows, settings)
    table = chosen.table(Target(Collections(records, golds), model, rows))
    return records.with_table(chosen.written, table)
