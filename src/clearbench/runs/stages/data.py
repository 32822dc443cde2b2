"""The people of a recipe, written once in the layout of CLEAR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from clearbench.data.clear import write_dataset
from clearbench.data.dataset import Dataset
from clearbench.data.halves import Half, in_half
from clearbench.data.load import BUILTIN, load_dataset
from clearbench.runs.materials import content_digest
from clearbench.runs.stage import Stage, StageInputs, Status, read_outcome, write_outcome
from clearbench.runs.store import Store

#: The file of rendered faces that the built-in people are drawn from.
PORTRAITS = Path(str(files("clearbench.people"))) / "portraits.parquet"


@dataclass(frozen=True)
class DataStage(Stage):
    """Loads a recipe's people and writes all their rows.

    Attributes:
        source: `builtin`, a folder, or a hub id.
        people: Number of people who are taught; None for all.
        strangers: Number of people kept apart.
        forget: Number of people to forget, or the name of a published split.
        half: Half of CLEAR's vision track; None for everybody.
        seed: Seed for the built-in people and for the draw of a half.
    """

    kind: ClassVar[str] = "data"

    source: str
    people: int | None
    strangers: int
    forget: int | str | None
    half: Half | None
    seed: int

    @property
    def label(self) -> str:
        """Built-in or given."""
        return BUILTIN if self.source == BUILTIN else "given"

    @property
    def settings(self) -> dict[str, Any]:
        """All fields that matter: a folder is known by its content, not by its name."""
        about: dict[str, Any] = {"people": self.people, "forget": self.forget, "half": self.half}
        if self.source == BUILTIN:
            about |= {"strangers": self.strangers}
        return about | ({"seed": self.seed} if self.source == BUILTIN or self.half else {})

    @property
    def materials(self) -> Mapping[str, str]:
        """The files that the rows are read from."""
        place = PORTRAITS if self.source == BUILTIN else self.source
        return {"data": content_digest(place, "dataset")}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes the rows, and the fingerprint by which later stages know them."""
        dataset = self._loaded()
        write_dataset(dataset, folder)
        fingerprint = load_dataset(folder).fingerprint
        return write_outcome(folder, "ok", fingerprint=fingerprint)

    def _loaded(self) -> Dataset:
        dataset = load_dataset(
            self.source, self.forget, people=self.people, strangers=self.strangers, seed=self.seed
        )
        return dataset if self.half is None else in_half(dataset, self.half, self.seed)


@dataclass(frozen=True)
class StoredData:
    """A finished data stage, as later stages refer to it.

    Attributes:
        key: Key of the stage, which says where the rows are.
        fingerprint: Digest of the rows, which decides what is made of them.
    """

    key: str
    fingerprint: str

    def dataset(self, inputs: StageInputs) -> Dataset:
        """All rows, divided as the source divides them."""
        return inputs.cache.dataset(inputs.store.folder(self.key))


def stored_data(stage: DataStage, store: Store) -> StoredData:
    """Refers to a finished data stage."""
    return StoredData(stage.key, str(read_outcome(store.folder(stage.key))["fingerprint"]))
