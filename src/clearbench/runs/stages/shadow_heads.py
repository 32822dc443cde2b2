"""Makes shadow models of a classifier as many heads on one frozen backbone, and matches images.

Half of the heads are taught the forget people of the first half of the data and never its holdout
people, and half the other way round, as in CLEAR's vision track (arXiv 2410.18057).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from safetensors.torch import load_file, save_file

from clearbench.attacks.matches import ROLES, Matches
from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.modality import modality
from clearbench.errors import RecipeError
from clearbench.evaluation.templates import enrolled, template_cosines
from clearbench.libraries import torch
from clearbench.methods.base import Method, method
from clearbench.models.classifier import Classifier
from clearbench.models.embedding_heads import (
    WEIGHTS,
    EmbeddingHead,
    Features,
    HeadModel,
    StackedHeads,
)
from clearbench.models.head import Head
from clearbench.models.heads import with_head
from clearbench.models.weights import digest
from clearbench.runs.code import modules_of
from clearbench.runs.cost import metered
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.model import ModelSource
from clearbench.training.finetune import finetune
from clearbench.training.many import AT_ONCE, can_stack, can_teach, teach_many, unlearn_many
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged

if TYPE_CHECKING:
    from torch import Tensor

#: Head of the classifiers whose backbone is read.
HEAD: Head = "projected_margin"
PARTS = ("projector",)


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
        status: Status = "ok"
        reason = ""
        dataset = self.data.dataset(inputs).for_kind("classifier")
        features = self.features(dataset, inputs)
        done: list[dict[str, Tensor]] = []
        with metered(inputs.device) as cost:
            try:
                for seeds, starts in self.starts(dataset, features, inputs):
                    done.append(self.changed(starts, dataset, seeds, features))
                    made = sum(len(part["projection.weight"]) for part in done)
                    inputs.on_progress("training heads", made, len(self.seeds))
            except Diverged as error:
                status, reason = "diverged", error.what
        if status == "ok":
            whole = {name: torch.cat([part[name] for part in done]) for name in done[0]}
            save_file(whole, folder / WEIGHTS)
        return write_outcome(folder, status, reason, cost=cost)

    @abstractmethod
    def starts(
        self, dataset: Dataset, features: Features, inputs: StageInputs
    ) -> Iterator[tuple[Sequence[int], list[HeadModel]]]:
        """Yields seeds and heads to train at once."""

    @abstractmethod
    def changed(
        self, heads: list[HeadModel], dataset: Dataset, seeds: Sequence[int], features: Features
    ) -> dict[str, Tensor]:
        """Trains heads; returns their stacked weights."""

    def features(self, dataset: Dataset, inputs: StageInputs) -> Features:
        """Loads the backbone under a head over the dataset's people, to read pictures with."""
        people = sorted(dataset.people("forget") | dataset.people("retain"))
        seed = self.seeds[0]
        model = self.base.load(dataset, seed, inputs.device)
        renewed = with_head(model, [dataset.names[person] for person in people], HEAD, seed)
        assert isinstance(renewed, Classifier)  # noqa: S101 - what `with_head` returns
        backbone = digest(renewed.core.base_model.state_dict())
        return Features(renewed, inputs.cache.features(backbone))

    def weights(self, inputs: StageInputs) -> dict[str, Tensor]:
        """Reads the stacked weights of the finished stage."""
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

    def starts(
        self, dataset: Dataset, features: Features, inputs: StageInputs
    ) -> Iterator[tuple[Sequence[int], list[HeadModel]]]:
        """Yields new heads, each of its own seed."""
        for seeds in _chunks(self.seeds):
            yield seeds, [HeadModel.new(features, seed) for seed in seeds]

    def changed(
        self, heads: list[HeadModel], dataset: Dataset, seeds: Sequence[int], features: Features
    ) -> dict[str, Tensor]:
        """Teaches heads at once, or one after the other where a setting asks for it."""
        without = ("forget",) if self.gold else ()
        if can_teach(self.train):
            together = stacked(heads)
            teach_many(together, dataset, self.train, seeds, without)
            return _weights(together)
        for head, seed in zip(heads, seeds, strict=True):
            finetune(head, dataset, self.train, seed, without=without)
        return _weights(stacked(heads))


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

    def starts(
        self, dataset: Dataset, features: Features, inputs: StageInputs
    ) -> Iterator[tuple[Sequence[int], list[HeadModel]]]:
        """Yields the taught heads."""
        taught = self.start.weights(inputs)
        blank = HeadModel.of(features.backbone, features)
        for places in _chunks(range(len(self.seeds))):
            seeds = [self.seeds[place] for place in places]
            yield seeds, [_with_weights(blank, taught, place) for place in places]

    def changed(
        self, heads: list[HeadModel], dataset: Dataset, seeds: Sequence[int], features: Features
    ) -> dict[str, Tensor]:
        """Runs the method on heads at once where that is exact, else on one after the other."""
        chosen, tracks = self.configured, ("image",)
        if can_stack(chosen, self.train):
            together = stacked(heads)
            with suppress(RecipeError):  # its loss mixes rows
                unlearn_many(together, dataset, chosen, tracks, self.train, seeds)
                return _weights(together)
        for head, seed in zip(heads, seeds, strict=True):
            unlearn(head, dataset, chosen, tracks, self.train, seed)
        return _weights(stacked(heads))


@dataclass(frozen=True)
class MatchStage(Stage):
    """Matches every image with templates under the heads of both halves.

    Attributes:
        whole: Rows of all people.
        halves: Heads of the first and of the second half.
    """

    kind: ClassVar[str] = "match"

    whole: StoredData
    halves: tuple[HeadsStage, HeadsStage]

    @property
    def label(self) -> str:
        """Label of the heads."""
        return self.halves[0].label

    @property
    def settings(self) -> dict[str, Any]:
        """Nothing besides what its parents are."""
        return {}

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Heads of both halves."""
        return {"first": self.halves[0], "second": self.halves[1]}

    @property
    def materials(self) -> Mapping[str, str]:
        """Digest of all people's rows."""
        return {"data": self.whole.fingerprint}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes cosines of every model and image."""
        first, _ = self.halves
        whole = self.whole.dataset(inputs).for_kind("classifier")
        items, people = images(whole)
        known = first.data.dataset(inputs).for_kind("classifier")
        features = first.features(known, inputs)
        with metered(inputs.device) as cost, torch.no_grad():
            seen = features.read(items)
            parts = [self._half(half, seen, people, inputs) for half in self.halves]
        own, other, roles = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        Matches(own, other, people, enrolled(people), roles).save(folder)
        return write_outcome(folder, "ok", cost=cost)

    def _half(
        self, half: HeadsStage, seen: Tensor, people: np.ndarray, inputs: StageInputs
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        dataset = half.data.dataset(inputs)
        roles = np.full(len(people), -1)
        for number, role in enumerate(ROLES):
            roles[np.isin(people, sorted(dataset.people(role)))] = number
        projections = half.weights(inputs)["projection.weight"]
        embedded = ((seen @ weight.T).cpu().numpy() for weight in projections)
        found = [template_cosines(vectors, people) for vectors in embedded]
        own, other = (np.stack(arrays) for arrays in zip(*found, strict=True))
        return own, other, np.broadcast_to(roles, own.shape)

    def matches(self, inputs: StageInputs) -> Matches:
        """Reads the finished stage's cosines."""
        return Matches.load(inputs.store.finished(self.key))


def images(dataset: Dataset) -> tuple[list[Item], np.ndarray]:
    """Collects every image that models are taught, once, with its person, in the order of the rows.

    Somebody with a single image has no template and is left out.

    Args:
        dataset: Rows as a classifier learns them.
    """
    found: dict[str, tuple[Item, int]] = {}
    for split in ("forget", "retain"):
        for row in dataset.training.get(split, ()):
            if row.media is not None and row.person is not None and not row.held_out:
                found.setdefault(row.media.key, (item(row), row.person))
    counts = Counter(person for _, person in found.values())
    kept = [pair for pair in found.values() if counts[pair[1]] > 1]
    return [each for each, _ in kept], np.array([person for _, person in kept])


def stacked(heads: Sequence[HeadModel]) -> HeadModel:
    """Builds one model of many heads, whose weights are copied."""
    first = heads[0]
    module = StackedHeads(first.module.config)
    states = [head.module.state_dict() for head in heads]
    module.stack({name: torch.stack([state[name] for state in states]) for name in states[0]})
    together = HeadModel(module, first.features)
    together.train_only(PARTS)
    return together


def _weights(together: HeadModel) -> dict[str, Tensor]:
    return {name: weight.detach() for name, weight in together.module.named_parameters()}


def _with_weights(blank: HeadModel, taught: Mapping[str, Tensor], place: int) -> HeadModel:
    head: EmbeddingHead = EmbeddingHead(blank.module.config)
    head.load_state_dict({name: weight[place] for name, weight in taught.items()})
    return HeadModel(head, blank.features)


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[begin : begin + AT_ONCE] for begin in range(0, len(values), AT_ONCE))
