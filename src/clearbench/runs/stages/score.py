"""Scores one model, from records of its own, of its gold and of its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from clearbench.attacks.scoring import Scored, null_band, protocol_attacks, scored
from clearbench.data.modality import modalities, modality
from clearbench.evaluation.controls import Control, under_control
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.scoring import truth_ratios
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.statistics import eligible
from clearbench.evaluation.verdict.evidence import evidence, worst_answers
from clearbench.libraries import pa, pd, pq
from clearbench.runs.code import modules_of
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.measure import MeasureStage
from clearbench.storage import read_json, write_json

SCORES, EVIDENCE = "scores.json", "evidence.parquet"


@dataclass(frozen=True)
class MeasuredModel:
    """All measurements of one model.

    Attributes:
        plain: Measurement with the rows' own images.
        controls: Measurements with other images, by control.
    """

    plain: MeasureStage
    controls: Mapping[Control, MeasureStage]

    @property
    def stages(self) -> tuple[MeasureStage, ...]:
        """All measurements."""
        return (self.plain, *self.controls.values())


@dataclass(frozen=True)
class ScoringStage(Stage):
    """Base of stages that compute from records alone.

    Attributes:
        original: Measurements of the model before unlearning, which decide the rows that count.
        evaluation: Settings: the protocol, its metrics, the controls, and the rows that count.
    """

    original: MeasuredModel
    evaluation: EvaluationSettings

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that decide scores besides the records."""
        names = {"protocol", "controls", "eligible", "metrics"}
        return self.evaluation.model_dump(mode="json", include=names)

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the metrics and attacks."""
        chosen = protocol(self.evaluation.protocol)
        metrics = (*chosen.metrics(), *self.evaluation.further_metrics)
        shown = (modality(track) for track in self.original.plain.model.data.tracks)
        return modules_of(*metrics, *protocol_attacks(chosen), *shown)

    def counted(self, model: MeasuredModel, inputs: StageInputs, name: Control | None) -> Records:
        """Returns a model's records of the rows that count, unchanged or under a control."""
        first = self.original.plain.key
        key = (model.plain.key, name, first, self.evaluation.eligible)
        return inputs.cache.counted(key, lambda: self._counted(model, inputs, name))

    def _counted(self, model: MeasuredModel, inputs: StageInputs, name: Control | None) -> Records:
        records = model.plain.records(inputs)
        if name is not None:
            records = under_control(records, model.controls[name].records(inputs))
        if self.evaluation.eligible == "all":
            return records
        blank = None
        if self.evaluation.eligible == "known_by_sight" and "blank" in self.original.controls:
            blank = self.original.controls["blank"].records(inputs)
        return eligible(records, self.original.plain.records(inputs), blank)


@dataclass(frozen=True)
class ScoreStage(ScoringStage):
    """Scores a model against its gold and its original.

    Attributes:
        ours: Measurements of the model that is scored.
        gold: Measurements of its gold.
    """

    kind: ClassVar[str] = "score"

    ours: MeasuredModel
    gold: MeasuredModel

    @property
    def label(self) -> str:
        """Label of the model."""
        return self.ours.plain.label

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Stages of all measurements."""
        return {
            f"{role} {stage.control or 'plain'}": stage
            for role, model in (("own", self.ours), ("gold", self.gold), ("first", self.original))
            for stage in model.stages
        }

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes scores, truth ratios, and the evidence of the verdict."""
        scores, failures = self._scores(inputs, None)
        shown = [track for track, modality in modalities().items() if modality.media]
        for name in self.evaluation.controls if self.ours.controls else ():
            controlled = self._scores(inputs, name)
            failures |= {f"{key}_{name}": why for key, why in controlled.failures.items()}
            for key, value in controlled.scores.items():
                split, track, _ = key.split(".")
                if track in shown and split != SIDE:
                    scores[f"{key}_{name}"] = value
        ours = self.counted(self.ours, inputs, None)
        ratios = {f"forget.{track}": truth_ratios(ours, track) for track in modalities()}
        gold, original = (self.counted(m, inputs, None) for m in (self.gold, self.original))
        table = evidence(ours, gold, original, self.ours.plain.model.base.kind)
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / EVIDENCE)
        content: dict[str, Any] = {
            "worst_answers": worst_answers(ours, gold, table),
            "scores": {key: value.model_dump(mode="json") for key, value in sorted(scores.items())},
            "truth_ratios": {key: list(values) for key, values in ratios.items() if len(values)},
        }
        if failures:
            content["failed_metrics"] = failures
        write_json(folder / SCORES, content)
        return write_outcome(folder, "ok")

    def _scores(self, inputs: StageInputs, name: Control | None) -> Scored:
        models = (self.ours, self.gold, self.original)
        ours, gold, original = (self.counted(model, inputs, name) for model in models)
        return scored(
            ours,
            gold,
            original,
            self.evaluation.protocol,
            metrics=self.evaluation.further_metrics,
        )


@dataclass(frozen=True)
class NullBandStage(ScoringStage):
    """Compares golds of different seeds: the range of scores when nothing is left to forget.

    Attributes:
        golds: Measurements of two golds or more.
    """

    kind: ClassVar[str] = "nullband"

    golds: tuple[MeasuredModel, ...]

    @property
    def label(self) -> str:
        """Label of the first gold."""
        return self.golds[0].plain.label

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Stages of all measurements that are read."""
        golds = {f"gold {number}": gold.plain for number, gold in enumerate(self.golds)}
        first = {f"first {stage.control or 'plain'}": stage for stage in self.original.stages}
        return golds | first

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes a band for every score."""
        records = [self.counted(gold, inputs, None) for gold in self.golds]
        bands = null_band(records, self.evaluation.protocol)
        write_json(folder / SCORES, {key: asdict(band) for key, band in bands.items()})
        return write_outcome(folder, "ok")


def read_scores(folder: Path) -> dict[str, Any]:
    """Reads the scores that a scoring stage wrote."""
    return dict(read_json(folder / SCORES))


def read_evidence(folder: Path) -> pd.DataFrame:
    """Reads the evidence that a score stage wrote."""
    return pd.DataFrame(pq.ParquetFile(folder / EVIDENCE).read().to_pandas())
