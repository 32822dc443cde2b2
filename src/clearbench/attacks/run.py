"""Runs one attack on a model: measures what it reads, and computes its table and scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clearbench.attacks.base import Attack, OnProgress, Target, unreported
from clearbench.attacks.inputs import check_inputs, lacks
from clearbench.attacks.membership import SIDES
from clearbench.attacks.point import Point
from clearbench.data.dataset import Dataset, Split
from clearbench.errors import RecipeError
from clearbench.evaluation.metric import Collections, Shadow
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


@dataclass(frozen=True)
class Subject:
    """A model that has been measured for attacks.

    Attributes:
        records: Records that attacks read; empty where none reads any.
        model: Model; None where there are only records.
    """

    records: Records
    model: Model | None = None


def measured(
    model: Model,
    rows: Dataset,
    chosen: Iterable[Attack],
    on_progress: OnProgress = unreported,
    name: str = "model",
) -> Subject:
    """Measures a model once for several attacks, where one of them reads records.

    Args:
        model: Attacked model, or one that it is compared with.
        rows: Dataset with the attacked rows.
        chosen: Attacks.
        on_progress: Function told of the progress.
        name: Role of the model, for the progress.
    """
    reading = [attack for attack in chosen if "model" not in attack.needs]
    if not reading:
        return Subject(Records({}), model)
    retained = any("retained people" in attack.reads for attack in reading)
    splits: tuple[Split, ...] = (*SIDES, "retain") if retained else SIDES
    settings = EvaluationSettings.of(
        protocol="openunlearning", splits=splits, limit=None, max_new_tokens=1
    )
    from clearbench.evaluation.engine import evaluate

    def on_batch(done: int, total: int) -> None:
        on_progress(f"asking the {name}", done, total)

    return Subject(evaluate(model, rows, settings, on_batch=on_batch), model)


def run(
    model: Model | Subject,
    dataset: Dataset,
    chosen: Attack,
    reference: Model | Records | Subject | None = None,
    limit: int | None = None,
    original: Model | Records | Subject | None = None,
    shadows: Sequence[Shadow] = (),
    seed: int = 0,
    on_progress: OnProgress = unreported,
) -> Attacked:
    """Attacks a model on the forget, retain and holdout rows of a dataset.

    Args:
        model: Attacked model, measured or not; left as it was.
        dataset: Dataset whose measured splits are used.
        chosen: Configured attack.
        reference: Gold model, or its records.
        limit: Rows per split and task, whole people; None for all.
        original: Model before unlearning, or its records.
        shadows: Records of shadow models that were made as the model was, and whom each was taught.
        seed: Seed of everything that the attack draws.
        on_progress: Function called after each part of a long attack.

    Raises:
        RecipeError: The attack cannot be made on the model, or lacks an input; all are named.
    """
    from clearbench.evaluation.engine import sample

    rows = sample(dataset, limit)
    before = original.model if isinstance(original, Subject) else original
    whole = before is not None and not isinstance(before, Records)
    taught = [shadow.taught for shadow in shadows]
    check_inputs(lacks(chosen, rows, gold=reference is not None, original=whole, taught=taught))
    check_suited(chosen, model)
    asked = (("gold", reference), ("original", original), ("model", model))
    subjects = {
        role: _subject(each, rows, chosen, on_progress, role)
        for role, each in asked
        if each is not None
    }
    models = {role: subject.model for role, subject in subjects.items()}
    attacked: dict[str, Records] = {}
    for role, subject in subjects.items():
        if subject.model is None:
            attacked[role] = subject.records
            continue
        target = Target(
            _collections(subject.records, attacked, shadows),
            subject.model,
            rows,
            original=models.get("original"),
            gold=models.get("gold"),
            seed=seed,
            on_progress=on_progress,
        )
        attacked[role] = subject.records.with_table(chosen.written, chosen.table(target))
    collections = _collections(attacked["model"], attacked, shadows)

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
    return Attacked(attacked["model"].table(chosen.written), compared, curves)


def check_suited(chosen: Attack, model: Model | Subject) -> None:
    """Refuses an attack that cannot be made on a model.

    Raises:
        RecipeError: Says why.
    """
    attacked = model.model if isinstance(model, Subject) else model
    if attacked is not None and (reason := chosen.unsuited(attacked)):
        what = f"the attack '{chosen.name}' cannot be made on this model: {reason}"
        raise RecipeError(what, "attack", "choose another: clearbench list attacks")


def _subject(
    given: Model | Records | Subject,
    rows: Dataset,
    chosen: Attack,
    on_progress: OnProgress,
    role: str,
) -> Subject:
    if isinstance(given, Subject):
        return given
    if isinstance(given, Records):
        return Subject(given)
    return measured(given, rows, [chosen], on_progress, role)


def _collections(
    records: Records, attacked: dict[str, Records], shadows: Sequence[Shadow]
) -> Collections:
    """Collects records with those of the models that were attacked before."""
    golds, originals = (
        (attacked[role],) if role in attacked else () for role in ("gold", "original")
    )
    return Collections(records, golds, originals, shadows=tuple(shadows))
