"""Base class of dataset sources: recognises what was asked for, and loads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import ValidationError

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.tables import Tables
from clearbench.errors import DataError, explain
from clearbench.plugins import Registry

_REGISTRY: Registry[DatasetSource]


@dataclass(frozen=True)
class Request:
    """What a source is asked for: the arguments of `load_dataset`.

    Attributes:
        source: Name, file, folder or hub id.
        forget: Number of people to forget, or the name of a published split; None for the source's
            own choice. A source refuses what it cannot do.
        retain: Name of a published split to keep; None for everybody else.
        text: Folder or hub id of TOFU's text, for CLEAR.
        images: Folder of the pictures that own rows name; the folder of the rows by default.
        people: Number of people who are taught; None for all.
        strangers: Number of people kept apart, of sources that make people.
        seed: Seed of sources that make people.
    """

    source: str
    forget: int | str | None = None
    retain: str | None = None
    text: str | Path | None = None
    people: int | None = None
    strangers: int = 8
    seed: int = 0
    images: Path | None = None

    @property
    def path(self) -> Path:
        """The source, read as a local path."""
        return Path(self.source)

    @cached_property
    def tables(self) -> Tables:
        """Tables of a published dataset by configuration: a folder, or a repository of the hub.

        Raises:
            DataError: It is neither a folder nor within reach on the hub.
        """
        return Tables(self.source)


#: Names of files that a message lists.
_LISTED = 5


class DatasetSource(ABC):
    """Base of all sources. A named subclass registers itself.

    `class Voices(DatasetSource, name="voices")` in a file of this folder, in a plugin or behind an
    entry point of the group `clearbench.datasets`, with a `load`, is all it takes.

    Attributes:
        name: Word that a user writes as the source.
        shows: Description for `clearbench list datasets`, one line.
        position: Place in lists and in the order of recognition; lower is earlier.
        takes_images: True if its rows may name pictures in a folder of the request.
    """

    name: ClassVar[str] = ""
    shows: ClassVar[str] = ""
    position: ClassVar[int] = 50
    takes_images: ClassVar[bool] = False

    def __init_subclass__(cls, name: str = "") -> None:
        if name:
            cls.name = name
            _REGISTRY.add(name, cls)

    def recognises(self, request: Request) -> bool:
        """Whether this class loads the requested source; by default, whether the name is equal."""
        return request.source == self.name

    def files(self, request: Request) -> tuple[str | Path, ...]:
        """Lists files, folders and hub ids that rows are read from.

        By default what the request names, and nothing for a source that is called by its own name:
        such rows are loaded and compared whenever a run is planned.
        """
        return () if request.source == self.name else (request.source,)

    @abstractmethod
    def load(self, request: Request) -> Dataset:
        """Loads the dataset, divided by person as requested.

        Raises:
            DataError: Rows are bad, which are all listed, or the division is not possible.
        """


_REGISTRY = Registry("dataset source", "clearbench.data.sources", "clearbench.datasets")


def sources() -> list[DatasetSource]:
    """Lists every source, in the order in which they are tried."""
    ordered = sorted(_REGISTRY.values(), key=lambda cls: (cls.position, cls.name))
    return [cls() for cls in ordered]


def source_of(request: Request) -> DatasetSource:
    """Finds the source that loads what is requested.

    Raises:
        DataError: There is none.
    """
    for source in sources():
        if source.recognises(request):
            return source
    raise DataError(
        f"no dataset found{_instead(request.path)}",
        request.source,
        "give 'builtin', a folder from `clearbench build`, own rows (JSON, CSV, Parquet), or the "
        "files of a benchmark (`clearbench list datasets`)",
    )


def _instead(path: Path) -> str:
    """Says what a folder holds that is no dataset."""
    if not path.is_dir():
        return ""
    names = sorted(each.name for each in path.iterdir())
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f": the folder holds {', '.join(names[:_LISTED]) or 'nothing'}{more}"


def load_request(request: Request) -> Dataset:
    """Loads what is requested from its source.

    Raises:
        DataError: There is no such source, it makes rows that are none, or pictures break off or
            rows are both forgotten and kept.
    """
    source = source_of(request)
    if request.images is not None and not source.takes_images:
        what = f"only own rows name pictures in a folder, not '{source.name}'"
        raise DataError(what, f"images = {request.images}", "leave the images out")
    if request.images is not None and not request.images.is_dir():
        what = "there is no such folder of pictures"
        raise DataError(what, str(request.images), "check the path")
    try:
        return _named(source.load(request)).examined(request.source)
    except ValidationError as error:
        raise DataError(
            explain(error, Example.model_fields),
            f"the rows of the source '{source.name}'",
            f"fields of a row: {', '.join(Example.model_fields)}",
        ) from error


def _named(dataset: Dataset) -> Dataset:
    """Names people by their numbers where a source has no name for them."""
    people = {row.person for rows in dataset.all_rows() for row in rows if row.person is not None}
    nameless = {person: f"person {person}" for person in sorted(people - set(dataset.names))}
    return replace(dataset, names=dataset.names | nameless) if nameless else dataset


def refuse_people(request: Request) -> None:
    """Raises a `DataError` where a source of published splits is asked for a number of people."""
    if request.people is not None:
        what = f"{request.people} people cannot be chosen from published splits"
        fix = "leave it out; `forget` may be a number of people, or a published split"
        raise DataError(what, "data.people", fix)


def last_forgotten(dataset: Dataset, count: int | str) -> Dataset:
    """Divides the same people so that the last `count`, by person number, are forgotten.

    Raises:
        DataError: The count is no number, or leaves nobody to forget or to keep.
    """
    everybody = sorted(dataset.people("forget") | dataset.people("retain"))
    if isinstance(count, str):
        fix = f"give a number from 1 to {len(everybody) - 1}"
        raise DataError(f"there is no split '{count}' here", "forget", fix)
    if not 1 <= count < len(everybody):
        fix = f"choose 1 to {len(everybody) - 1}"
        raise DataError(f"cannot forget {count} of {len(everybody)} people", "forget", fix)
    return dataset.forgetting(everybody[-count:])


def fewer(dataset: Dataset, forget: int | None, people: int | None) -> Dataset:
    """Keeps the last `forget` forgotten people, and the first others up to `people` in all."""
    if forget is None and people is None:
        return dataset
    largest = sorted(dataset.people("forget"))
    count = len(largest) if forget is None else forget
    if not 1 <= count <= len(largest):
        fix = f"choose 1 to {len(largest)}: only they have perturbed answers"
        raise DataError(f"cannot forget {count} people", "forget", fix)
    gone = set(largest[-count:])
    others = sorted((dataset.people("retain") | set(largest)) - gone)
    kept = others if people is None else others[: max(0, people - count)]
    asked = {row.person for split in ("forget", "retain") for row in dataset.evaluation[split]}
    if people is not None and not (kept and asked.issuperset(kept)):
        raise DataError(
            f"{people} people with {count} forgotten leaves {people - count} others",
            "data.people",
            "keep at least 1, and no more than the retain_perturbed rows are about",
        )
    return dataset.forgetting(gone, set(others) - set(kept))
