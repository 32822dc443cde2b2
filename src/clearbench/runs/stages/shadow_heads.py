"""Makes shadow models of a classifier as many heads on one frozen backbone.

Half of the heads are taught the forget people of the first half of the data and never its holdout
people, and half the other way round, as in CLEAR's vision track (arXiv 2410.18057).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from clearbench.data.dataset import Dataset
from clearbench.data.modality import modality
from clearbench.libraries import torch
from clearbench.methods.base import Method, method
from clearbench.models.head import WEIGHTS
from clearbench.runs.code import modules_of
from clearbench.runs.cost import metered
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.model import ModelSource
from clearbench.training.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor

    from clearbench.models.embedding_heads import Features


@dataclass(frozen=True)
class HeadsStage(Stage):
    """Base of stages that leave many heads of one half.

    Attributes:
        base: Classifier whose frozen backbone the heads are on.
        data: Rows of one half.
        train: Training schedule.
        seeds: Seed of each head.
    """

    base: ModelSource
    data: StoredData
    train: TrainSettings
    seeds: tuple[int, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Schedule and seeds."""
        return {"train": self.train.model_dump(mode="json"), "seeds": list(self.seeds)}

    @property
    def materials(self) -> Mapping[str, str]:
        """Digests of the rows and of the backbone."""
        return {"data": self.data.fingerprint, "base model": self.base.digest}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the modalities and of the backbone's family."""
        shown = modules_of(*(modality(track) for track in self.data.tracks))
        return (*shown, *self.base.family_modules)

    @property
    def weight(self) -> float:
        """Rough seconds of all heads, a millisecond and a half a step each."""
        return 0.0015 * self.train.steps * len(self.seeds)

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Makes the heads, some at once, and writes their weights."""
        from safetensors.torch import save_file

        from clearbench.training.watch import Diverged

        status: Status = "ok"
        reason = ""
        dataset = self.data.dataset(inputs).for_kind("classifier")
        features = self.features(dataset, inputs)
        done: list[Mapping[str, Tensor]] = []
        with metered(inputs.device) as cost:
            try:
                for weights in self.heads(dataset, features, inputs):
                    done.append(weights)
                    made = sum(len(part["projection.weight"]) for part in done)
                    inputs.on_progress("training heads", made, len(self.seeds))
            except Diverged as error:
                status, reason = "diverged", error.what
        if status == "ok":
            whole = {name: torch.cat([part[name] for part in done]) for name in done[0]}
            save_file(whole, folder / WEIGHTS)
        return write_outcome(folder, status, reason, cost=cost)

    @abstractmethod
    def heads(
        self, dataset: Dataset, features: Features, inputs: StageInputs
    ) -> Iterator[Mapping[str, Tensor]]:
        """Makes the heads; yields the stacked weights of some at a time."""

    def features(self, dataset: Dataset, inputs: StageInputs) -> Features:
        """Loads the backbone under a head over the dataset's people, to read pictures with."""
        from clearbench.training.heads import backbone_features

        seed = self.seeds[0]
        model = self.base.load(dataset, seed, inputs.device)
        return backbone_features(model, dataset, seed, inputs.cache.features)

    def weights(self, inputs: StageInputs) -> dict[str, Tensor]:
        """Reads the stacked weights of the finished stage."""
        from safetensors.torch import load_file

        return load_file(inputs.store.finished(self.key) / WEIGHTS)


@dataclass(frozen=True)
class TeachHeadsStage(HeadsStage):
    """Teaches heads a half's people, or all but the forget people.

    Attributes:
        gold: Whether the forget people are left out.
    """

    kind: ClassVar[str] = "teachheads"

    gold: bool = False

    @property
    def label(self) -> str:
        """Role of the heads."""
        return "gold" if self.gold else "original"

    @property
    def settings(self) -> dict[str, Any]:
        """Schedule, seeds, and whether the forget people are left out."""
        return {**super().settings, "gold": self.gold}

    def heads(
        self, dataset: Dataset, features: Features, inputs: StageInputs
    ) -> Iterator[Mapping[str, Tensor]]:
        """Teaches new heads, each of its own seed."""
        from clearbench.training.heads import taught_heads

        without = ("forget",) if self.gold else ()
        return taught_heads(features, dataset, self.train, self.seeds, without)


@dataclass(frozen=True)
class UnlearnHeadsStage(HeadsStage):
    """Makes heads forget a half's forget people by one method.

    Attributes:
        start: Stage of the heads that are changed.
        method: Name of the method.
        hyperparameters: Settings of the method itself.
    """

    kind: ClassVar[str] = "unlearnheads"

    start: TeachHeadsStage
    method: str
    hyperparameters: Mapping[str, Any]

    @property
    def configured(self) -> Method:
        """The method with its hyper-parameters."""
        return method(self.method, **self.hyperparameters)

    @property
    def label(self) -> str:
        """Name of the method."""
        return self.method

    @property
    def settings(self) -> dict[str, Any]:
        """Method, schedule and seeds."""
        about = {"method": self.method, "hyperparameters": dict(self.hyperparameters)}
        return {**super().settings, **about}

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Stage of the heads before."""
        return {"start": self.start}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the method and of its base classes."""
        return (*super().modules, *modules_of(self.configured))

    def heads(
        self, dataset: Dataset, features: Features, inputs: StageInputs
    ) -> Iterator[Mapping[str, Tensor]]:
        """Runs the method on the taught heads."""
        from clearbench.training.heads import unlearned_heads

        taught, seeds = self.start.weights(inputs), self.seeds
        return unlearned_heads(features, dataset, self.configured, self.train, seeds, taught)
