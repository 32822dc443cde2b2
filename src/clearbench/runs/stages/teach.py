"""Trains an original or a gold: a base that is taught a dataset's people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clearbench.runs.cost import metered
from clearbench.runs.stage import StageInputs, Status, write_outcome
from clearbench.runs.stages.model import ModelStage, curve_points, save_model, training_cost

if TYPE_CHECKING:
    from clearbench.models.base import Model


@dataclass(frozen=True)
class TeachStage(ModelStage):
    """Teaches a base all people, or all but some.

    Attributes:
        without: People who are left out; none for an original.
    """

    kind: ClassVar[str] = "teach"

    without: tuple[int, ...] = ()

    @property
    def role(self) -> Literal["original", "gold"]:
        """Role of the model in comparisons."""
        return "gold" if self.without else "original"

    @property
    def label(self) -> str:
        """Kind of model, role and seed."""
        return f"{self.base.kind}-{self.role}-seed{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """Kind of model, schedule, seed, and the people left out."""
        return {
            "model": self.base.kind,
            "head": self.base.head,
            "dtype": self.base.dtype,
            "train": self.train.model_dump(mode="json"),
            "seed": self.seed,
            "without": list(self.without),
        }

    @property
    def materials(self) -> Mapping[str, str]:
        """Digests of the rows and the base."""
        return {**super().materials, "base model": self.base.digest}

    def start_model(self, inputs: StageInputs) -> Model:
        """Loads the base."""
        model = self.base.load(self.data.dataset(inputs), self.seed, inputs.device)
        return inputs.cache.shared(model, self.base.source)

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Trains the base and writes the model."""
        from clearbench.models.embedding_heads import on_features
        from clearbench.training.finetune import finetune
        from clearbench.training.watch import Diverged

        dataset = self.data.dataset(inputs)
        if self.without:
            dataset = dataset.forgetting(self.without)

        def on_step(done: int, steps: int, values: Mapping[str, float]) -> None:
            inputs.on_progress("training", done, steps)

        status: Status = "ok"
        reason = ""
        with metered(inputs.device) as cost:
            model = self.start_model(inputs)
            try:
                with on_features(model, self.train.parts, (), inputs.cache.features) as learner:
                    history = finetune(
                        learner,
                        dataset.for_kind(self.base.kind),
                        self.train,
                        self.seed,
                        without=("forget",) if self.without else (),
                        checkpoints=inputs.scratch,
                        on_step=on_step,
                    )
            except Diverged as error:
                status, reason, history = "diverged", error.what, error.history
        cost |= training_cost(model)
        if status == "ok":
            save_model(model, folder)
        curve = curve_points(history, set())
        return write_outcome(folder, status, reason, curve=curve, cost=cost, reading=model.reading)
