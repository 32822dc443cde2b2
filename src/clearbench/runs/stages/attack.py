"""Attacks one model, and scores an attack on a model beside those on its gold and original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from clearbench.attacks.base import Attack, Target, attack
from clearbench.attacks.point import Point
from clearbench.data.modality import modality
from clearbench.evaluation.metric import Collections, Shadow
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.scoring import with_gold_and_original
from clearbench.libraries import pa, pd, pq
from clearbench.runs.code import modules_of
from clearbench.runs.cost import metered
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.measure import MEASURE_STEPS, MeasureStage
from clearbench.runs.stages.model import STEP_WEIGHTS
from clearbench.storage import read_json, write_json

if TYPE_CHECKING:
    from clearbench.models.base import Model

TABLE, SCORES = "table.parquet", "scores.json"
#: Cost of an attack that needs the model, in measurements.
MEASUREMENTS = 4


@dataclass(frozen=True)
class ShadowMeasurement:
    """Measurement of a shadow model, whose people are those of one half.

    Attributes:
        stage: Measurement.
        taught: People whom it was once taught, of those that are attacked.
        swapped: Whether its forget people are the attacked model's holdout people.
    """

    stage: MeasureStage
    taught: tuple[int, ...]
    swapped: bool

    def shadow(self, inputs: StageInputs) -> Shadow:
        """Reads the records, with the splits of the attacked model."""
        records = self.stage.records(inputs)
        if self.swapped:
            names = {"forget": "holdout", "holdout": "forget"}
            records = records.changed(
                lambda frame: frame.assign(split=frame["split"].replace(names))
            )
        return Shadow(records, frozenset(self.taught))


@dataclass(frozen=True)
class AttackStage(Stage):
    """Computes an attack's table for one model.

    Attributes:
        measured: Measurement of the attacked model.
        gold: Measurement of gold; None where the attacked model is the gold.
        original: Measurement of the original; None where the attacked model is the original.
        name: Name of the attack.
        parameters: Parameters of the attack.
        shadows: Measurements of shadow models that were made as the attacked model was.
    """

    kind: ClassVar[str] = "attack"

    measured: MeasureStage
    gold: MeasureStage | None
    original: MeasureStage | None
    name: str
    parameters: Mapping[str, Any]
    shadows: tuple[ShadowMeasurement, ...] = ()

    @property
    def configured(self) -> Attack:
        """The attack with its parameters."""
        return attack(self.name, **self.parameters)

    @property
    def label(self) -> str:
        """Label of the model, and the attack."""
        return f"{self.measured.model.label}-{self.name}"

    @property
    def settings(self) -> dict[str, Any]:
        """Attack and parameters, and whom the shadow models were taught."""
        taught = [[*shadow.taught] for shadow in self.shadows]
        return {"attack": self.name, "parameters": dict(self.parameters)} | (
            {"taught": taught} if taught else {}
        )

    @property
    def parents(self) -> Mapping[str, Stage]:
        """The model and the measurements that it is compared with."""
        compared = {"gold": self.gold, "original": self.original}
        found = {role: stage for role, stage in compared.items() if stage is not None}
        models = {f"{role} model": stage.model for role, stage in found.items()}
        shadows = {f"shadow {k}": each.stage for k, each in enumerate(self.shadows)}
        return {
            "records": self.measured,
            "model": self.measured.model,
            **found,
            **models,
            **shadows,
        }

    @property
    def materials(self) -> Mapping[str, str]:
        """Digests of what the attack reads from files."""
        return self.configured.materials()

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the attack, of the model's modalities and of its family."""
        shown = modules_of(*(modality(track) for track in self.measured.model.data.tracks))
        family = self.measured.model.base.family_modules
        return (*modules_of(self.configured), *shown, *family)

    @property
    def weight(self) -> float:
        """Cost of so many training steps."""
        kind = self.measured.model.base.kind
        return MEASUREMENTS * MEASURE_STEPS * STEP_WEIGHTS[kind]

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Attacks the model and writes the table."""
        chosen = self.configured
        with metered(inputs.device) as cost:
            model = self.measured.model.load(inputs)
            target = Target(
                self._collections(inputs),
                model,
                self.measured.rows(inputs),
                original=self._first(model, inputs),
                seed=self.measured.model.seed,
                on_progress=inputs.on_progress,
            )
            table = chosen.table(target)
        write_table(folder, table)
        return write_outcome(folder, "ok", cost=cost)

    def _collections(self, inputs: StageInputs) -> Collections:
        golds, originals = (
            () if stage is None else (stage.records(inputs),)
            for stage in (self.gold, self.original)
        )
        shadows = tuple(each.shadow(inputs) for each in self.shadows)
        return Collections(self.measured.records(inputs), golds, originals, shadows=shadows)

    def _first(self, own: Model, inputs: StageInputs) -> Model | None:
        """Loads the original where the attack needs it; the own model where it is that."""
        if "original" not in self.configured.needs:
            return None
        return own if self.original is None else self.original.model.load(inputs)

    def attacked(self, inputs: StageInputs) -> Records:
        """Reads the model's records with the finished stage's table."""
        frame: pd.DataFrame = (
            pq.ParquetFile(inputs.store.finished(self.key) / TABLE).read().to_pandas()
        )
        return self.measured.records(inputs).with_table(self.configured.written, frame)


@dataclass(frozen=True)
class AttackScoreStage(Stage):
    """Scores an attack on a model against the same attack on its gold and its original.

    Attributes:
        ours: Attack on the model.
        gold: Attack on its gold.
        original: Attack on its original.
    """

    kind: ClassVar[str] = "attackscore"

    ours: AttackStage
    gold: AttackStage
    original: AttackStage

    @property
    def label(self) -> str:
        """Label of the attack on the model."""
        return self.ours.label

    @property
    def settings(self) -> dict[str, Any]:
        """Attack and parameters."""
        return self.ours.settings

    @property
    def parents(self) -> Mapping[str, Stage]:
        """The three attacks and their measurements."""
        stages = {"own": self.ours, "gold": self.gold, "original": self.original}
        records = {f"{role} records": stage.measured for role, stage in stages.items()}
        shadows = {
            f"{role} shadow {number}": each.stage
            for role, stage in stages.items()
            for number, each in enumerate(stage.shadows)
        }
        return {**stages, **records, **shadows}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the attack and of the modalities."""
        data = self.ours.measured.model.data
        shown = (modality(track) for track in data.tracks)
        return modules_of(self.ours.configured, *shown)

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes scores and curves by key."""
        chosen = self.ours.configured
        ours, gold, original = (
            stage.attacked(inputs) for stage in (self.ours, self.gold, self.original)
        )
        shadows = {
            id(stage): tuple(each.shadow(inputs) for each in stage.shadows)
            for stage in (self.ours, self.gold, self.original)
        }
        of_records = {id(ours): self.ours, id(gold): self.gold, id(original): self.original}
        collections = Collections(ours, (gold,), (original,))

        def scored(given: Collections) -> dict[str, Score]:
            own = shadows[id(of_records[id(given.model)])]
            whole = replace(given, shadows=own)
            return {
                key: score
                for track in given.tracks
                for key, score in chosen.scores(whole, track).items()
            }

        scores = with_gold_and_original(collections, scored)
        curves = {
            key: points
            for track in collections.tracks
            for key, points in chosen.curves(collections, track).items()
        }
        write_scores(folder, scores, curves)
        return write_outcome(folder, "ok")


def write_table(folder: Path, table: pd.DataFrame) -> None:
    """Writes an attack's table."""
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / TABLE)


def write_scores(
    folder: Path, scores: Mapping[str, Score], curves: Mapping[str, Sequence[Point]]
) -> None:
    """Writes an attack's scores and the points of its curves, by key."""
    content = {key: score.model_dump(mode="json") for key, score in sorted(scores.items())}
    levels = {
        key: [point.model_dump(mode="json") for point in points] for key, points in curves.items()
    }
    write_json(folder / SCORES, {"scores": content, "curves": levels})


def read_attack_scores(folder: Path) -> dict[str, Any]:
    """Reads what an attack score stage wrote."""
    return dict(read_json(folder / SCORES))
