"""Digests of files that no stage made: they are of the content, wherever it lies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clearbench.data.write_clear import write_dataset
from clearbench.runs.materials import content_digest
from clearbench.runs.stages.data import DataStage
from clearbench.testing import tiny_dataset

FILES = {"a.json": "one", "b.json": "two", "sub/c.json": "three"}
#: A second in which all files of a test were changed last.
THEN = 1_000_000_000


def write(path: Path, text: str, second: int = THEN) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (second, second))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path / "folder" / name, text)
    return tmp_path / "folder"


def digest(path: Path) -> str:
    return content_digest(path, "dataset")


def swap(folder: Path) -> None:
    write(folder / "a.json", "two", THEN + 1)
    write(folder / "b.json", "one", THEN + 1)


def rename(folder: Path) -> None:
    (folder / "a.json").rename(folder / "aa.json")


CHANGES: dict[str, Callable[[Path], object]] = {
    "another text of the same size": lambda folder: write(folder / "a.json", "ONE", THEN + 1),
    "a longer text of the same time": lambda folder: write(folder / "a.json", "one."),
    "in a folder within": lambda folder: write(folder / "sub" / "c.json", "tHree", THEN + 1),
    "two of one size change places": swap,
    "another name in the same order": rename,
    "one more": lambda folder: write(folder / "d.json", ""),
    "one less": lambda folder: (folder / "b.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_content_has_another_digest(change: str, folder: Path) -> None:
    """Also where the old one was looked at in this very process."""
    before = digest(folder)
    assert digest(folder) == before
    CHANGES[change](folder)
    assert digest(folder) != before


@pytest.mark.parametrize("text", ["ONE", "on", "one "])
def test_a_file_that_changed_in_a_session_has_another_digest(text: str, folder: Path) -> None:
    path = folder / "a.json"
    before, beside = digest(path), digest(folder / "b.json")
    write(path, text, THEN + 1)
    assert digest(path) != before != beside == digest(folder / "b.json")
    write(path, "one", THEN + 2)
    assert digest(path) == before


def test_where_a_content_lies_and_when_it_was_written_decide_nothing(
    folder: Path, tmp_path: Path
) -> None:
    before = digest(folder), digest(folder / "a.json")
    twin = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "twin"))
    write(twin / "a.json", "one", THEN + 9)
    write(twin / ".git" / "HEAD", "main")
    write(twin / ".DS_Store", "of a file manager")
    assert (digest(twin), digest(twin / "a.json")) == before


def test_the_rows_of_a_changed_folder_are_another_stage(tmp_path: Path) -> None:
    """Of a folder from `clearbench build`, which is known by its files and not loaded for it."""
    write_dataset(tiny_dataset(), tmp_path / "people")

    def key(place: str) -> str:
        return DataStage(str(tmp_path / place), None, 0, None, None, 0).key

    before = key("people")
    shutil.copytree(tmp_path / "people", tmp_path / "twin")
    assert key("people") == key("twin") == before
    path = next((tmp_path / "people").glob("forget*tofu/*.parquet"))
    content, times = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert key("people") != before == key("twin")
