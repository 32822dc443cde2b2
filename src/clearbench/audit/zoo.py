"""Rates metrics on the models of a run: its originals know the people, its golds do not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import Field

from clearbench.attacks.base import OnProgress, unreported
from clearbench.attacks.quantisation import holding_rounded, nf4, without_adapters
from clearbench.attacks.scoring import protocol_attacks, split_scores
from clearbench.batches.items import item
from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.modality import tracks_of
from clearbench.errors import ClearbenchError, RecipeError
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.trust import Change, Trust, rated
from clearbench.models.base import Model
from clearbench.runs.cache import WorkerCache
from clearbench.runs.plan import Family, PlannedRow
from clearbench.runs.recipe import load_recipe
from clearbench.runs.run import plan_run
from clearbench.runs.run_plan import RunPlan
from clearbench.runs.stage import StageInputs
from clearbench.runs.stored import Stored, StoredFile
from clearbench.training.finetune import finetune
from clearbench.training.settings import TrainSettings

TRUST = "trust.json"
#: Splits that the rated metrics are about: the forgotten people, and those of membership attacks.
SPLITS = ("forget", "holdout")
#: Metrics that rise with knowledge on other splits, and fall with it on the forgotten people, where
#: they measure how indifferent a model is.
FALLING = ("truth_ratio", "name_truth_ratio")
#: Rows of a batch in relearning, which is one epoch as in OpenUnlearning.
BATCH = 8
#: Values of metrics by their keys.
Values = Mapping[str, float]


class TrustTable(Stored):
    """Ratings of metrics on one kind of model and one way of forgetting.

    Attributes:
        modality: Modalities that the attacked models were to forget.
        unlearned: Ids of the attacked models.
        failed: Reasons why unlearned models were not attacked, by id.
        metrics: Ratings by metric, the most trustworthy first.
    """

    model: str
    modality: str
    unlearned: tuple[str, ...]
    failed: dict[str, str] = Field(default_factory=dict)
    metrics: tuple[Trust, ...]


class TrustFile(StoredFile):
    """The content of `trust.json`.

    Attributes:
        recipe: Name of the recipe; `identity` is its hash.
        learning_rate: Learning rate of relearning.
    """

    file_name = TRUST

    recipe: str
    identity: str
    learning_rate: float
    tables: tuple[TrustTable, ...]


@dataclass(frozen=True)
class _Attacked:
    """Values of an unlearned model before and after attacks, and of its gold."""

    row: PlannedRow
    before: Values
    relearned: Values
    rounded: Values
    gold: Values
    gold_relearned: Values


@dataclass
class _Zoo:
    """Models of one kind: those that know, those that do not, and those that were attacked."""

    knowing: list[Values] = field(default_factory=list)
    ignorant: list[Values] = field(default_factory=list)
    attacked: list[_Attacked] = field(default_factory=list)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)


def trust_of_run(
    folder: Path,
    *,
    store: Path | None = None,
    learning_rate: float = 3e-4,
    on_progress: OnProgress = unreported,
) -> TrustFile:
    """Rates every metric about the forgotten people on the models of a finished run.

    Unlearned models and golds are trained for one epoch on the forgotten rows, and unlearned models
    are rounded to 4 bits (NF4), each on a copy.

    Args:
        folder: Folder of the run; several `seeds` give several originals and golds.
        store: Folder of the stages, where the run has none of its own.
        learning_rate: Learning rate of relearning; OpenUnlearning has 2e-5 for models of 1 G.
        on_progress: Function told of the progress.

    Raises:
        RecipeError: The run has one original of each kind of model.
    """
    recipe = load_recipe(folder / "recipe.yaml")
    planned = plan_run(recipe, folder, store, keep=False)
    kinds = _enough(planned, folder)
    evaluation = _forgotten_alone(recipe.evaluation)
    with TemporaryDirectory() as scratch:
        inputs = StageInputs(planned.store, WorkerCache(), Path(scratch))
        zoos = {
            kind: _zoo(kind, planned, inputs, evaluation, learning_rate, on_progress)
            for kind in kinds
        }
    rises = dict(_rising(recipe.evaluation.protocol))
    tables = [table for kind, zoo in zoos.items() for table in _tables(kind, zoo, rises)]
    return TrustFile(
        recipe=recipe.name,
        identity=recipe.identity,
        learning_rate=learning_rate,
        tables=tuple(tables),
    )


def _forgotten_alone(evaluation: EvaluationSettings) -> EvaluationSettings:
    splits = tuple(split for split in evaluation.splits if split in SPLITS)
    return evaluation.model_copy(update={"splits": splits, "controls": ()})


def _rising(name: str) -> Iterator[tuple[str, bool]]:
    """Yields, by the last part of its key, whether a metric rises with knowledge.

    Metrics whose good direction is gold's everywhere say nothing of knowledge by themselves.
    """
    chosen = protocol(name)
    for made in chosen.metrics():
        direction = made.direction("retain")
        if isinstance(made, Metric) and made.direction("forget") == "gold" != direction:
            yield made.score_key, (direction == "up") != (made.name in FALLING)
    for attack in protocol_attacks(chosen):
        yield from ((key, True) for key in attack.numbers() if key.endswith("_auc"))


def _enough(planned: RunPlan, folder: Path) -> list[Kind]:
    """Names the kinds of model of which there are several originals and golds."""
    families: dict[Kind, list[Family]] = {}
    for family in planned.families:
        families.setdefault(family.original.kind, []).append(family)
    kinds = [kind for kind, found in families.items() if len(found) > 1]
    if not kinds:
        what = "metrics are rated on several originals and golds, and this run has one original"
        raise RecipeError(what, str(folder), "run a recipe with several `seeds`")
    return kinds


def _zoo(
    kind: Kind,
    planned: RunPlan,
    inputs: StageInputs,
    evaluation: EvaluationSettings,
    learning_rate: float,
    on_progress: OnProgress,
) -> _Zoo:
    zoo = _Zoo()
    for family in (each for each in planned.families if each.original.kind == kind):
        zoo.knowing.append(_values(_records(family.original, inputs), evaluation))
        zoo.ignorant += [_values(_records(gold, inputs), evaluation) for gold in family.golds]
        attack = _FamilyAttack(family, inputs, evaluation, learning_rate, on_progress)
        zoo.attacked += attack.all()
        zoo.failed |= attack.failed
    return zoo


def _records(row: PlannedRow, inputs: StageInputs) -> Records:
    return row.measured.plain.records(inputs)


def _values(records: Records, evaluation: EvaluationSettings) -> Values:
    about = records.in_groups(lambda key: key.split in SPLITS)
    scores = split_scores(about, evaluation.protocol)
    return {key: score.value for key, score in scores.items() if key.startswith("forget.")}


@dataclass
class _FamilyAttack:
    """Relearns and rounds the unlearned models of one original."""

    family: Family
    inputs: StageInputs
    evaluation: EvaluationSettings
    learning_rate: float
    on_progress: OnProgress
    golds: dict[str, Values] = field(default_factory=dict)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)

    def all(self) -> Iterator[_Attacked]:
        """Yields every unlearned model that could be attacked, with its values."""
        rows = [row for row in self.family.unlearned if row.role == "unlearn"]
        for done, row in enumerate(rows):
            self.on_progress(f"attacking {row.id}", done, len(rows))
            try:
                yield self._attacked(row)
            except ClearbenchError as error:
                self.failed[row.id] = (row.modality, error.what)

    def _attacked(self, row: PlannedRow) -> _Attacked:
        gold = self.family.golds[0]
        dataset = row.measured.plain.rows(self.inputs)
        if row.modality not in self.golds:
            self.golds[row.modality] = self._relearned(gold, dataset, row.modality)
        return _Attacked(
            row,
            before=_values(_records(row, self.inputs), self.evaluation),
            relearned=self._relearned(row, dataset, row.modality),
            rounded=self._rounded(row, dataset),
            gold=_values(_records(gold, self.inputs), self.evaluation),
            gold_relearned=self.golds[row.modality],
        )

    def _relearned(self, row: PlannedRow, dataset: Dataset, modality: str) -> Values:
        model = row.model.load(self.inputs).duplicate()
        tracks = tracks_of(modality)
        rows = tuple(
            each
            for each in dataset.train_rows("forget", tracks)
            if not each.held_out and model.accepts(item(each))
        )
        parts = tuple(part for part in model.parts if part != "vision") or model.parts
        settings = TrainSettings.of(
            steps=math.ceil(len(rows) / BATCH),
            batch_size=BATCH,
            learning_rate=self.learning_rate,
            warmup=0.0,
            decay="none",
            parts=parts,
        )
        finetune(model, Dataset({"forget": rows}, {}, dataset.names), settings, row.model.seed)
        return self._measured(model, dataset)

    def _rounded(self, row: PlannedRow, dataset: Dataset) -> Values:
        model = without_adapters(row.model.load(self.inputs))
        with holding_rounded(model, nf4):
            return self._measured(model, dataset)

    def _measured(self, model: Model, dataset: Dataset) -> Values:
        return _values(evaluate(model, dataset, self.evaluation), self.evaluation)


def _tables(kind: str, zoo: _Zoo, rises: Mapping[str, bool]) -> Iterator[TrustTable]:
    """Yields a table per way of forgetting; the faithfulness alone where nothing was unlearned."""
    modalities = dict.fromkeys(each.row.modality for each in zoo.attacked)
    for modality in modalities or {"both": None}:
        attacked = [each for each in zoo.attacked if each.row.modality == modality]
        shared = set.intersection(*(set(values) for values in (*zoo.knowing, *zoo.ignorant)))
        keys = [
            key
            for key in sorted(shared)
            if key.split(".")[1] in tracks_of(modality) and key.rpartition(".")[2] in rises
        ]
        found = [_rated(key, zoo, attacked, rises[key.rpartition(".")[2]]) for key in keys]
        found.sort(key=lambda each: -(each.faithfulness if each.overall is None else each.overall))
        yield TrustTable(
            model=kind,
            modality=modality,
            failed={id: why for id, (way, why) in zoo.failed.items() if way == modality},
            unlearned=tuple(each.row.id for each in attacked),
            metrics=tuple(found),
        )


def _rated(key: str, zoo: _Zoo, attacked: Sequence[_Attacked], rises: bool) -> Trust:
    def change(before: Values, after: Values) -> Change:
        return Change(before=before[key], after=after[key])

    measured = [each for each in attacked if key in each.before and key in each.relearned]
    return rated(
        key,
        [values[key] for values in zoo.knowing],
        [values[key] for values in zoo.ignorant],
        [
            (change(each.before, each.relearned), change(each.gold, each.gold_relearned))
            for each in measured
        ],
        [change(each.before, each.rounded) for each in measured],
        rises=rises,
    )
