"""Runs one attack on a model: measures what it reads, and computes its table and scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clearbench.attacks.base import Attack, OnProgress, Target, unreported
from clearbench.attacks.membership import SIDES
from clearbench.attacks.point import Point
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.scoring import with_gold_and_original
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.libraries import pd

if TYPE_CHECKING:
    from clearbench.models.base import Model


@dataclass(frozen=True)
class Attacked:
    """Outcome of an attack.

    Attributes:
        table: Lines of the attack's table: one per attacked row, and level where it has several.
        scores: Scores by key, with gold's value where there is a reference.
        curves: Points by key, of attacks with several levels.
    """

    table: pd.DataFrame
    scores: dict[str, Score]
    curves: dict[str, list[Point]] = field(default_factory=dict)


def run(
    model: Model,
    dataset: Dataset,
    chosen: Attack,
    reference: Model | Records | None = None,
    limit: int | None = None,
    original: Model | Records | None = None,
    on_progress: OnProgress = unreported,
) -> Attacked:
    """Attacks a model on the forget, retain and holdout rows of a dataset.

    Args:
        model: Attacked model; left as it was.
        dataset: Dataset whose measured splits are used.
        chosen: Configured attack.
        reference: Gold model, or its records.
        limit: Rows per split and task, whole people; None for all.
        original: Model before unlearning, or its records.
        on_progress: Function called after each part of a long attack.

    Raises:
        RecipeError: The attack cannot be made on the model.
    """
    if reason := chosen.unsuited(model):
        what = f"the attack '{chosen.name}' cannot be made on this model: {reason}"
        raise RecipeError(what, "attack", "choose another: clearbench list attacks")
    from clearbench.evaluation.engine import sample

    rows = sample(dataset, limit)
    target = Target(
        Collections(Records({})),
        model,
        rows,
        None if isinstance(original, Records) else original,
        None if isinstance(reference, Records) else reference,
        on_progress=on_progress,
    )
    golds = () if reference is None else (_attacked(reference, rows, target, chosen),)
    target = replace(target, collections=Collections(Records({}), golds))
    before = () if original is None else (_attacked(original, rows, target, chosen),)
    records = _attacked(model, rows, target, chosen)
    collections = Collections(records, golds, before)

    def scores(given: Collections) -> dict[str, Score]:
        return {
            key: score
            for track in given.tracks
            for key, score in chosen.scores(given, track).items()
        }

    compared = with_gold_and_original(collections, scores)
    curves = {
        key: points
        for track in collections.tracks
        for key, points in chosen.curves(collections, track).items()
    }
    return Attacked(records.table(chosen.written), compared, curves)


def _attacked(model: Model | Records, rows: Dataset, target: Target, chosen: Attack) -> Records:
    """Measures a model, where the attack reads that, and adds its table to the records."""
    if isinstance(model, Records):
        return model
    records = Records({})
    if "model" not in chosen.needs:
        settings = EvaluationSettings.of(
            protocol="openunlearning", splits=SIDES, limit=None, max_new_tokens=1
        )
        from clearbench.evaluation.engine import evaluate

        records = evaluate(model, rows, settings)
    given = target.collections.of(records)
    table = chosen.table(replace(target, collections=given, model=model))
    return records.with_table(chosen.written, table)
