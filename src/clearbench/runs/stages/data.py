"""Writes the people of a recipe: all rows, once, with every field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from clearbench.data.dataset import Dataset
from clearbench.data.halves import Half, in_half
from clearbench.data.modality import modalities
from clearbench.data.sources.base import DatasetSource, Request, load_request, source_of
from clearbench.data.store_folder import read_rows, write_rows
from clearbench.errors import DataError
from clearbench.runs.code import modules_of
from clearbench.runs.materials import content_digest
from clearbench.runs.stage import Stage, StageInputs, Status, read_outcome, write_outcome
from clearbench.runs.store import Store


@dataclass(frozen=True)
class DataStage(Stage):
    """Loads a recipe's people and writes all their rows.

    Attributes:
        source: Name of a source, a file, a folder, or a hub id.
        people: Number of people who are taught; None for all.
        strangers: Number of people kept apart.
        forget: Number of people to forget, or the name of a published split.
        half: Half of CLEAR's vision track; None for all people.
        seed: Seed for people who are made up and for the draw of a half.
        images: Folder of the pictures that own rows name; their content counts, not its name.
    """

    kind: ClassVar[str] = "data"

    source: str
    people: int | None
    strangers: int
    forget: int | str | None
    half: Half | None
    seed: int
    images: str | None = None

    @property
    def request(self) -> Request:
        """Request to the source."""
        return Request(
            self.source,
            self.forget,
            people=self.people,
            strangers=self.strangers,
            seed=self.seed,
            images=None if self.images is None else Path(self.images),
        )

    @property
    def loader(self) -> DatasetSource:
        """Source that loads the rows."""
        return source_of(self.request)

    @property
    def label(self) -> str:
        """Name of the source."""
        return self.loader.name.replace("/", "-").lower()

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of the request; files count by their content, not by their name."""
        return {
            "people": self.people,
            "strangers": self.strangers,
            "forget": self.forget,
            "half": self.half,
            "seed": self.seed,
        }

    @property
    def materials(self) -> Mapping[str, str]:
        """Digests of the files that the rows are read from, or of the rows that code makes."""
        files = self.loader.files(self.request)
        if not files:
            return {"data": self._loaded().fingerprint}
        return {"data": " ".join(content_digest(file, "dataset") for file in files)}

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of the source and of the modalities."""
        return modules_of(self.loader, *modalities().values())

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes the rows, and the fingerprint by which later stages know them."""
        write_rows(self._loaded(), folder)
        dataset = read_rows(folder)
        tracks = sorted({row.track for rows in dataset.all_rows() for row in rows})
        return write_outcome(folder, "ok", fingerprint=dataset.fingerprint, tracks=tracks)

    def _loaded(self) -> Dataset:
        dataset = load_request(self.request)
        if not dataset.training.get("forget"):
            fix = 'give rows with "split": "forget", or a number of people to forget'
            raise DataError("no rows to forget", self.request.source, fix)
        return dataset if self.half is None else in_half(dataset, self.half, self.seed)


@dataclass(frozen=True)
class StoredData:
    """Reference of later stages to a finished data stage.

    Attributes:
        key: Key of the stage, which locates the rows.
        fingerprint: Digest of the rows, which decides what is made of them.
        tracks: Modalities of the rows.
    """

    key: str
    fingerprint: str
    tracks: tuple[str, ...]

    def dataset(self, inputs: StageInputs) -> Dataset:
        """Reads all rows, divided as the source divides them."""
        return inputs.cache.dataset(inputs.store.finished(self.key))


def stored_data(stage: DataStage, store: Store) -> StoredData:
    """Builds a reference to a finished data stage."""
    outcome = read_outcome(store.folder(stage.key))
    return StoredData(stage.key, str(outcome["fingerprint"]), tuple(outcome["tracks"]))
