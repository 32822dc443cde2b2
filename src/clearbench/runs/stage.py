"""Stages: everything that a run makes and keeps, each named by a hash of its ingredients."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from clearbench.devices import compute_device
from clearbench.runs.code import code_digests, libraries_of
from clearbench.runs.store import Store, stage_key
from clearbench.storage import canonical_json, read_json, write_json

if TYPE_CHECKING:  # a reader of stages needs no engine
    import torch

    from clearbench.runs.cache import WorkerCache

#: Libraries whose version decides the numbers: all that compute, or read what is computed from.
PACKAGES = (
    "torch", "transformers", "tokenizers", "peft", "accelerate", "safetensors", "numpy", "scipy",
    "pandas", "pyarrow", "scikit-learn", "pillow", "regex", "nltk", "rouge-score",
)  # fmt: skip
OUTCOME = "outcome.json"
Status = Literal["ok", "diverged", "failed"]
#: Function called with (name of the work, steps done, steps in all).
OnProgress = Callable[[str, int, int], None]


@cache
def package_versions() -> dict[str, str]:
    """Returns versions of the libraries that decide the numbers."""
    return {name: version(name) for name in PACKAGES}


@dataclass(frozen=True)
class Ingredients:
    """Everything that decides the content of a stage, as its manifest records it.

    Attributes:
        settings: Settings of the stage, as JSON.
        parents: Key of every stage it starts from, by role.
        materials: Digest of the content of data and of model folders, by role.
        code: Sha256 of every source file that computes it, by module.
        packages: Versions of the libraries it is computed with, and of those that a plugin imports.
    """

    settings: dict[str, Any]
    parents: dict[str, str]
    materials: dict[str, str]
    code: dict[str, str]
    packages: dict[str, str]

    def differences(self, other: Ingredients) -> list[str]:
        """Describes the differences from the ingredients of another stage of the same settings."""
        lines = []
        for word, ours, theirs in (
            ("starts from another", self.parents, other.parents),
            ("changed:", self.materials, other.materials),
            ("source changed:", self.code, other.code),
            ("version changed:", self.packages, other.packages),
        ):
            names = [n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n)]
            lines += [f"{word} {name}" for name in names]
        return lines


@dataclass(frozen=True)
class StageInputs:
    """Inputs of making a stage besides its own settings.

    Attributes:
        store: Store with the stages it starts from.
        cache: Cache that the stages of one worker process share.
        scratch: Folder for checkpoints; it survives a kill and goes once the stage is finished.
        on_progress: Function called as the work goes on.
        chosen: Device that models compute on; None for the one that is there.
    """

    store: Store
    cache: WorkerCache
    scratch: Path
    on_progress: OnProgress = lambda doing, done, total: None
    chosen: torch.device | None = None

    @cached_property
    def device(self) -> torch.device:
        """Device that models compute on; the engine is asked only where one is needed."""
        return self.chosen or compute_device()


@dataclass(frozen=True)
class Stage(ABC):
    """One result that is made once and kept in a store, under a key of its ingredients.

    A subclass holds the settings as fields; its module is part of what computes it.

    Attributes:
        kind: First word of the key.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def label(self) -> str:
        """Words of the key between kind and hash, for people."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Settings as JSON, without parents and materials."""

    @property
    def parents(self) -> Mapping[str, Stage]:
        """Stages it starts from, by role."""
        return {}

    @property
    def materials(self) -> Mapping[str, str]:
        """Digests of content that no stage made, by role."""
        return {}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that compute it besides the one of its class."""
        return ()

    @abstractmethod
    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes the stage's files into an empty folder; `diverged` is kept like `ok`."""

    @property
    def weight(self) -> float:
        """Rough seconds on one core, relative to other stages: for the order and the time left."""
        return 1.0

    @cached_property
    def ingredients(self) -> Ingredients:
        """Everything that decides its content."""
        code = code_digests((type(self).__module__, *self.modules))
        return Ingredients(
            json.loads(canonical_json(self.settings)),
            {role: parent.key for role, parent in self.parents.items()},
            dict(self.materials),
            code,
            package_versions() | libraries_of(code),
        )

    @cached_property
    def key(self) -> str:
        """Name of its folder: kind, label and a hash of the ingredients."""
        return stage_key(self.kind, self.label, vars(self.ingredients))


def with_parents(stages: Iterable[Stage]) -> dict[str, Stage]:
    """Collects stages and all that they start from, by key, parents first."""
    stages_by_key: dict[str, Stage] = {}
    for stage in stages:
        if stage.key not in stages_by_key:
            stages_by_key |= with_parents(stage.parents.values())
            stages_by_key[stage.key] = stage
    return stages_by_key


@dataclass(frozen=True)
class StageOutcome:
    """Outcome of making a stage.

    Attributes:
        status: Status; a `failed` stage is never kept, and made anew by the next run.
        reason: Reason why it is not `ok`.
    """

    status: Status
    reason: str = ""


def write_outcome(folder: Path, status: Status, reason: str = "", **more: Any) -> Status:
    """Writes the outcome of a stage, and further facts for its rows."""
    write_json(folder / OUTCOME, {"status": status, "reason": reason, **more})
    return status


def read_outcome(folder: Path) -> dict[str, Any]:
    """Reads what `write_outcome` wrote; stages without such a file are `ok`."""
    path = folder / OUTCOME
    return dict(read_json(path)) if path.is_file() else {"status": "ok", "reason": ""}
