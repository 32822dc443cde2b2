"""Measures the records of one model: one pass over the rows, unchanged or under a control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from clearbench.data.dataset import Dataset
from clearbench.data.modality import modality
from clearbench.evaluation.controls import Control, control, images_only
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.runs.code import modules_of
from clearbench.runs.cost import metered
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.model import STEP_WEIGHTS, ModelStage

#: Number of training steps that cost about as much as a measurement.
MEASURE_STEPS = 25


@dataclass(frozen=True)
class MeasureStage(Stage):
    """Measures a model on all people, with some counted as forgotten.

    Attributes:
        model: Stage that left the model.
        forgotten: People whose rows are the forget split.
        evaluation: Settings of the evaluation.
        control: Images that take the place of the rows' own; None for their own.
    """

    kind: ClassVar[str] = "measure"

    model: ModelStage
    forgotten: tuple[int, ...]
    evaluation: EvaluationSettings
    control: Control | None = None

    @property
    def label(self) -> str:
        """Label of the model, and the control."""
        return f"{self.model.label}-{self.control}" if self.control else self.model.label

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the measurement, the forgotten people, and the control."""
        return {
            "measured": self.evaluation.measured,
            "forgotten": list(self.forgotten),
            "control": self.control,
        }

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Stage of the model."""
        return {"model": self.model}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the model's modalities and family."""
        shown = modules_of(*(modality(track) for track in self.model.data.tracks))
        return (*shown, *self.model.base.family_modules)

    @property
    def weight(self) -> float:
        """Cost of so many training steps."""
        return MEASURE_STEPS * STEP_WEIGHTS[self.model.base.kind]

    def rows(self, inputs: StageInputs) -> Dataset:
        """Returns the measured rows, with the images of the control."""
        dataset = self.model.data.dataset(inputs)
        if self.forgotten:
            dataset = dataset.forgetting(self.forgotten)
        dataset = dataset.for_kind(self.model.base.kind)
        return control(images_only(dataset), self.control) if self.control else dataset

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Measures and writes the records."""
        from clearbench.evaluation.engine import evaluate

        settings = self.evaluation
        if self.control is not None:
            splits = tuple(split for split in settings.splits if split != SIDE)
            settings = settings.model_copy(update={"splits": splits})
        doing = f"measuring, {self.control} images" if self.control else "measuring"

        def on_batch(done: int, batches: int) -> None:
            inputs.on_progress(doing, done, batches)

        with metered(inputs.device) as cost:
            model = self.model.load(inputs)
            records = evaluate(
                model,
                self.rows(inputs),
                settings,
                self.control,
                parts=inputs.scratch,
                on_batch=on_batch,
            )
        records.save(folder)
        return write_outcome(folder, "ok", cost=cost, reading=model.reading)

    def records(self, inputs: StageInputs) -> Records:
        """Reads the finished stage's records."""
        return inputs.cache.records(inputs.store.finished(self.key))
