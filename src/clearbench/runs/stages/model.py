"""Base of stages that leave a model: its start, and how it is loaded again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clearbench.batches.kind import Kind
from clearbench.builtin.folder import BUILTIN, base_folder
from clearbench.data.dataset import Dataset
from clearbench.data.modality import modality
from clearbench.libraries import torch
from clearbench.models.families.base import family_named
from clearbench.models.head import Head
from clearbench.runs.code import modules_of
from clearbench.runs.materials import content_digest
from clearbench.runs.stage import Stage, StageInputs
from clearbench.runs.stages.data import StoredData
from clearbench.storage import content_hash, read_json
from clearbench.training.settings import TrainSettings

if TYPE_CHECKING:
    from clearbench.models.base import Model
    from clearbench.training.checkpoint import History

#: Number of points of a training curve kept for the report.
CURVE_POINTS = 60
#: Rough seconds of a training step by kind of model, on one core with the built-in ones.
STEP_WEIGHTS: Mapping[str, float] = {"language": 0.25, "vision-language": 0.5, "classifier": 0.25}


@dataclass(frozen=True)
class ModelSource:
    """Base model that a model is taught from.

    Attributes:
        kind: Kind of model.
        source: Source `builtin`, a folder, or a hub id.
        head: Head of a classifier; None for the source's own kind.
        dtype: Type of the weights.
        base: Base of an adapter at the source; None for the one that the adapter names.
    """

    kind: Kind
    source: str
    head: Head | None = None
    dtype: str = "float32"
    base: str | None = None

    @property
    def digest(self) -> str:
        """Digest of the weights, configuration and processor, or a hub revision."""
        if self.source == BUILTIN:
            return content_digest(base_folder(), "model")
        from clearbench.models.load import weight_places  # it follows an adapter to its base

        places = weight_places(self.source, self.base)
        digests = [content_digest(_file(place), "model") for place in places]
        return digests[0] if len(digests) == 1 else content_hash(digests)

    @property
    def family_modules(self) -> tuple[str, ...]:
        """Modules of the base's family."""
        if self.source == BUILTIN:
            config = read_json(base_folder() / "config.json")
            return modules_of(family_named(config["model_type"]))
        return _family_modules(self.source, self.base, self.digest)

    def load(self, dataset: Dataset, seed: int, device: torch.device | None = None) -> Model:
        """Loads the base; a classifier gets a head over the dataset's people."""
        from clearbench.builtin.models import builtin_model
        from clearbench.models.heads import with_head
        from clearbench.models.load import data_type, load_model

        labels = self._labels(dataset)
        if self.source == BUILTIN:
            model = builtin_model(self.kind, labels, seed, device)
            model.module.to(data_type(self.dtype))
        else:
            model = load_model(
                self.source,
                kind=self.kind,
                dtype=self.dtype,
                base=self.base,
                new_head=self.kind == "classifier",
                device=device,
            )
        return with_head(model, labels, self.head, seed) if self.kind == "classifier" else model

    def outline(self, dataset: Dataset) -> Model:
        """Makes what `load` loads from its configuration alone, to foresee what training takes."""
        from clearbench.builtin.models import part_of_base
        from clearbench.models.heads import with_head
        from clearbench.models.load import data_type
        from clearbench.models.outline import untaught

        labels, dtype = self._labels(dataset), data_type(self.dtype)
        if self.source == BUILTIN:
            whole: Any = untaught(base_folder(), "vision-language", dtype)
            model = part_of_base(whole, self.kind, labels)
            model.module.to(dtype)
        else:
            model = untaught(self.source, self.kind, dtype, self.base)
        return with_head(model, labels, self.head) if self.kind == "classifier" else model

    def _labels(self, dataset: Dataset) -> list[str]:
        """Names that a classifier tells apart; none for other kinds."""
        people = sorted(dataset.people("forget") | dataset.people("retain"))
        return [dataset.names[person] for person in people] if self.kind == "classifier" else []


@dataclass(frozen=True)
class ModelStage(Stage):
    """A stage that leaves a model, an adapter or a guard.

    Attributes:
        base: Base of the model, at the beginning of the chain of stages.
        data: Rows of all people.
        train: Training schedule.
        seed: Seed for everything random.
    """

    base: ModelSource
    data: StoredData
    train: TrainSettings
    seed: int

    @property
    def materials(self) -> Mapping[str, str]:
        """Digest of the rows."""
        return {"data": self.data.fingerprint}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the modalities of the rows and of the family of the base."""
        shown = modules_of(*(modality(track) for track in self.data.tracks))
        return (*shown, *self.base.family_modules)

    @property
    def weight(self) -> float:
        """Training steps, weighted by kind of model."""
        return self.train.steps * STEP_WEIGHTS[self.base.kind]

    @abstractmethod
    def start_model(self, inputs: StageInputs) -> Model:
        """Loads the model that the stage changes."""

    def load(self, inputs: StageInputs) -> Model:
        """Loads the finished stage's model; adapters and guards are added to their base."""
        from clearbench.models.adapters import is_adapter, load_adapter, merge_adapters
        from clearbench.models.guards import is_guard, load_guards
        from clearbench.models.load import load_model

        folder = inputs.store.finished(self.key)
        if is_guard(folder):
            model = self.start_model(inputs)
            model.guards = load_guards(folder)
        elif is_adapter(folder):
            model = self.start_model(inputs)
            load_adapter(model, folder)
            merge_adapters(model)
        else:
            model = load_model(
                folder, kind=self.base.kind, dtype=self.base.dtype, device=inputs.device
            )
        return inputs.cache.shared(model, self.base.source)


@lru_cache(maxsize=64)
def _family_modules(source: str, base: str | None, digest: str) -> tuple[str, ...]:
    """Modules of the family at a source whose content has a digest."""
    from clearbench.models.load import load_family

    return modules_of(load_family(source, base))


def _file(place: str | Path) -> str | Path:
    from clearbench.models.source import SMOLLM2, packaged_smollm2

    return packaged_smollm2() if place == SMOLLM2 else place


def curve_points(history: History, measured: set[int]) -> list[dict[str, float]]:
    """Chooses about `CURVE_POINTS` evenly spread steps of a history, and every measured one.

    Args:
        history: Values of each step.
        measured: Numbers of the steps, from 1, after which scores were measured.
    """
    every = max(1, len(history) // CURVE_POINTS)
    return [
        {"step": number, **values}
        for number, values in enumerate(history, start=1)
        if (number - 1) % every == 0 or number == len(history) or number in measured
    ]


def training_cost(model: Model, *, trains_weights: bool = True) -> dict[str, Any]:
    """Counts the trained parameters and the passes of the network."""
    learned = sum(weight.numel() for weight in model.trainable().values())
    return {
        "trainable_parameters": learned if trains_weights else 0,
        "forwards": model.forwards,
        "backwards": model.backwards,
        "dtype": str(model.core.dtype).removeprefix("torch."),
    }


def save_model(model: Model, folder: Path) -> None:
    """Writes a whole model: adapters are merged into the weights that they belong to."""
    from clearbench.models.adapters import merge_adapters

    merge_adapters(model)
    model.save(folder)
