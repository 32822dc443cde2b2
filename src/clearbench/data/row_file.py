"""Formats of files that hold own rows: JSON, delimited text, Parquet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from clearbench.data.row_form import readable
from clearbench.errors import DataError
from clearbench.plugins import Registry

_REGISTRY: Registry[RowFile]
Line = dict[str, Any]


class RowFile(ABC):
    """Base of all formats. A named subclass in a file of `data/row_files` or a plugin is one.

    Attributes:
        name: Word for the format in messages.
        suffixes: Endings of such files, in lower case with their dot.
        position: Place in the order of recognition; lower is earlier.
    """

    name: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    position: ClassVar[int] = 50

    def __init_subclass__(cls, name: str = "") -> None:
        if name:
            cls.name = name
            _REGISTRY.add(name, cls)

    @abstractmethod
    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a file is of this format, by its name or by its first bytes."""

    @abstractmethod
    def lines(self, path: Path) -> Iterator[tuple[int | str, Line | str]]:
        """Yields the place of each row with its fields, or with what is wrong with it.

        Raises:
            DataError: The file cannot be read at all.
        """


_REGISTRY = Registry("row file", "clearbench.data.row_files", "clearbench.row_files")


def row_files() -> list[RowFile]:
    """Lists every format, in the order in which they are tried."""
    return [cls() for cls in sorted(_REGISTRY.values(), key=lambda cls: (cls.position, cls.name))]


def suffixes() -> tuple[str, ...]:
    """Lists the endings of all formats."""
    return tuple(suffix for kind in row_files() for suffix in kind.suffixes)


def lines_of(path: Path) -> Iterator[tuple[int | str, Line | str]]:
    """Yields the place and the fields of each row of a file in any of the formats.

    Raises:
        DataError: The file cannot be read, or is of none of the formats.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except (OSError, ValueError) as error:
        what = f"cannot read: {'it is a folder' if path.is_dir() else error}"
        if isinstance(error, FileNotFoundError):
            what = "there is no such file"
        raise DataError(what, str(path), "give a file of rows") from error
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        return
    kind = next((kind for kind in row_files() if kind.recognises(path, head)), None)
    if kind is None:
        raise unreadable(path)
    yield from kind.lines(path)


def unreadable(path: Path, why: str = "") -> DataError:
    """Returns the error about a file in none of the formats.

    Args:
        path: The file.
        why: What is there instead of rows, as the end of the sentence.
    """
    names = ", ".join(kind.name for kind in row_files())
    what = f"no rows can be read from this file{why}"
    return DataError(what, str(path), f"give {names} with {readable()}")
