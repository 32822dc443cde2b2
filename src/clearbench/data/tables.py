"""Reads configurations of a published dataset: from a local folder, or the hub's cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from clearbench.data.json_rows import Line, objects
from clearbench.data.text_file import read_text
from clearbench.errors import DataError, did_you_mean
from clearbench.libraries import pa, pq

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HEADER = re.compile(r"\s*---\n(.*?)\n---(?:\n|$)", re.DOTALL)
_BAD_HEADER = (ValueError, yaml.YAMLError, RecursionError, LookupError, TypeError, AttributeError)
#: Places of a configuration's files when no README names them.
_HABITS = ("{}/*.parquet", "{}.parquet", "{}-*.parquet", "{}.jsonl", "{}.json")
#: End of the name of one of several files of a split, as `push_to_hub` writes it.
_SHARD = re.compile(r"-\d+-of-\d+$")


class Tables:
    """The rows of every configuration, as `datasets.load_dataset(source, name)` finds them.

    A configuration of several splits can be read whole by its name, and each split of it as
    `name/split`. Nothing is copied: Parquet and JSON (lines, or arrays) are read where they lie,
    images stay encoded, and from the hub only the files of what is asked for are fetched.

    Args:
        source: A folder, or a hub id such as `therem/CLEAR`.

    Attributes:
        problems: Lines about bad rows so far; `refuse` raises them all at once.

    Raises:
        DataError: It is neither, or the hub cannot be reached and has left nothing here.
    """

    def __init__(self, source: str | Path) -> None:
        self.source = str(source)
        if Path(source).is_file():
            what = "it is a file, from which no rows can be read"
            raise DataError(what, self.source, "give a folder, or own rows in JSON, CSV or Parquet")
        self.remote = not Path(source).is_dir()
        self.folder = _fetch(self.source, ("README.md",)) if self.remote else Path(source)
        self.problems: list[str] = []
        self._patterns = _readme_patterns(self.folder)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of every configuration, and of their splits where there are several.

        They are the README's, else those of the files.
        """
        if self._patterns or self.remote:
            return tuple(self._patterns)
        files = {p.stem for k in ("parquet", "jsonl", "json") for p in self.folder.glob(f"*.{k}")}
        folders: dict[str, set[str]] = {}
        for path in self.folder.glob("*/*.parquet"):
            folders.setdefault(path.parent.name, set()).add(_SHARD.sub("", path.stem))
        several = {name: parts for name, parts in folders.items() if len(parts) > 1}
        splits = {f"{name}/{part}" for name, parts in several.items() for part in parts}
        return tuple(sorted({*folders, *files, *splits}))

    def rows(self, name: str, columns: Sequence[str] = ()) -> Iterator[tuple[str, Line]]:
        """Yields each row of a configuration and its origin, as `file:row`.

        Rows of Parquet count from 0, lines and rows of JSON from 1. A line that cannot be read is
        one of the `problems` and becomes an empty row, so that the others keep their places.
        """
        for path in self.files(name):
            lines = parquet_lines(path, columns) if path.suffix == ".parquet" else _json(path)
            for number, line in lines:
                where = f"{path.relative_to(self.folder).as_posix()}:{number}"
                if isinstance(line, str):
                    self.problems.append(f"{where}: {line}")
                yield where, {} if isinstance(line, str) else line

    def count(self, name: str) -> int:
        """Counts the rows of a configuration."""
        return sum(
            _metadata(path).num_rows if path.suffix == ".parquet" else len(list(_json(path)))
            for path in self.files(name)
        )

    def columns(self, name: str) -> tuple[str, ...]:
        """Returns the columns of a configuration's first file."""
        path = self.files(name)[0]
        if path.suffix == ".parquet":
            return tuple(_metadata(path).schema.to_arrow_schema().names)
        return tuple(next((line for _, line in _json(path) if isinstance(line, dict)), {}))

    def files(self, name: str) -> list[Path]:
        """Returns the files of a configuration; downloads them from the hub if necessary.

        Raises:
            DataError: There is no such configuration, or no file of it.
        """
        if name not in self.names:
            hint = did_you_mean(name, self.names) if self.names else "there is none at all"
            raise DataError(f"no configuration '{name}'", self.source, hint)
        patterns = self._patterns.get(name) or [habit.format(name) for habit in _HABITS]
        folder = _fetch(self.source, tuple(patterns)) if self.remote else self.folder
        files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
        if not files:
            raise _missing(self.source, patterns, f"no file of configuration '{name}'")
        return files

    def refuse(self) -> None:
        """Raises a `DataError` with every bad row (the first twenty in full), if there was one."""
        if self.problems:
            shown = "\n".join(self.problems[:20])
            what = f"{len(self.problems)} bad rows:\n{shown}"
            raise DataError(what, self.source, "correct these rows", self.problems)


@cache
def _fetch(repository: str, patterns: tuple[str, ...]) -> Path:
    """Downloads the hub's files of these patterns; offline, returns what the cache holds."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HTTPError,  # httpx's or httpx2's
    )

    try:
        snapshot = snapshot_download(repository, repo_type="dataset", allow_patterns=list(patterns))
    except (OSError, ValueError, HTTPError) as error:
        what = f"no folder '{repository}', and no such dataset from the hub or its cache"
        raise _missing(repository, patterns, what) from error
    return Path(snapshot)


def _missing(source: str, files: Sequence[str], what: str) -> DataError:
    from huggingface_hub import constants

    where, wanted = source, ", ".join(files)
    if Path(source).is_dir() or not _HUB_ID.fullmatch(source):
        return DataError(what, where, f"give a folder that has {wanted}, or a hub id (owner/name)")
    if constants.HF_HUB_OFFLINE:
        where += " (the hub is switched off by HF_HUB_OFFLINE)"
    return DataError(
        what,
        where,
        "run this once with a network: what is needed is fetched and kept in the hub's cache;\n"
        f"or give a folder with the same files ({wanted}), made elsewhere by\n"
        f"    hf download {source} --repo-type dataset --local-dir FOLDER",
    )


def _readme_patterns(folder: Path) -> dict[str, list[str]]:
    """Reads file patterns by configuration from the README; none leaves the folder."""
    readme = folder / "README.md"
    try:
        found = _HEADER.match(read_text(readme)) if readme.is_file() else None
        header = yaml.safe_load(found[1]) if found else None
        listed = (header or {}).get("configs", [])
        patterns = dict(pattern for entry in listed for pattern in _of_entry(entry))
    except _BAD_HEADER as error:
        raise DataError(f"cannot read its header: {error}", str(readme), "mend it") from error
    for name, listed_patterns in patterns.items():
        for pattern in listed_patterns:
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                where = f"{readme}: configuration '{name}'"
                raise DataError(f"'{pattern}' leads out of the folder", where, "use a plain name")
    return patterns


def _of_entry(entry: Any) -> Iterator[tuple[str, list[str]]]:
    """Yields a configuration's patterns, and those of its splits where there are several."""
    name, files = str(entry["config_name"]), entry["data_files"]
    yield name, list(_flat(files))
    splits = [part for part in files if isinstance(part, dict)] if isinstance(files, list) else []
    if len(splits) > 1:
        yield from ((f"{name}/{part['split']}", list(_flat(part["path"]))) for part in splits)


def _flat(files: Any) -> Iterator[str]:
    """Flattens `data_files`: a pattern, a list of patterns, or splits with their `path`."""
    if isinstance(files, str):
        yield files
    else:
        for entry in [files["path"]] if isinstance(files, dict) else files:
            yield from _flat(entry)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"not a Parquet file of rows: {error}", str(path), "get it anew") from error


def _metadata(path: Path) -> Any:
    with _opened(path) as file:
        return file.metadata


def parquet_lines(path: Path, columns: Sequence[str] = ()) -> Iterator[tuple[int, Line]]:
    """Yields each row of a Parquet file, counted from 0, with some of its columns or all."""
    number = 0
    with _opened(path) as file:
        there = file.schema_arrow.names
        twice = sorted({name for name in there if there.count(name) > 1})
        if twice:
            raise DataError(f"two columns are called {', '.join(twice)}", str(path), "rename one")
        for batch in file.iter_batches(64, columns=[c for c in columns or there if c in there]):
            for line in batch.to_pylist():
                yield number, line
                number += 1


def _json(path: Path) -> Iterator[tuple[int | str, Line | str]]:
    """Yields the objects of a file of JSON lines or arrays; for others an error text."""
    return objects(read_text(path))
