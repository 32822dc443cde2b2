"""Names of files at their limit, leftovers of writes, and why a place cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from clearbench import storage
from clearbench.errors import StorageError
from clearbench.writing import cannot_write, remove, temporary_of


@pytest.mark.parametrize("letter", ["n", "é", "王"])
def test_a_name_may_be_as_long_as_the_limit_and_no_longer(letter: str, tmp_path: Path) -> None:
    """200 bytes, whatever they spell: letters have one, two or three."""
    size = len(letter.encode())
    name = letter * (storage.LONGEST_NAME // size) + "x" * (storage.LONGEST_NAME % size)
    assert len(name.encode()) == 200
    assert storage.inside(tmp_path, f"a/{name}").name == name
    with pytest.raises(StorageError, match="a name of 201 bytes is too long"):
        storage.inside(tmp_path, f"a/{name}x")


@pytest.mark.parametrize("kind", ["file", "folder", "link to a folder", "link to nothing"])
def test_what_this_process_left_of_a_write_goes_with_the_next(kind: str, tmp_path: Path) -> None:
    """A link goes itself, and what it leads to stays."""
    target = tmp_path / "elsewhere" if "to a" in kind else tmp_path / "nowhere"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("of the user's")
    left = temporary_of(tmp_path / "a.json")
    if kind == "file":
        left.write_text("half")
    elif kind == "folder":
        (left / "within").mkdir(parents=True)
    else:
        left.symlink_to(target)
    storage.remove_leftovers(tmp_path / "a.json")
    assert not os.path.lexists(left)
    assert (tmp_path / "elsewhere" / "kept").read_text() == "of the user's"
    remove(tmp_path / "nothing")


@pytest.mark.parametrize("number", ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"])
def test_a_place_that_is_not_ours_is_not_a_full_disk(number: str, tmp_path: Path) -> None:
    code = getattr(errno, number)
    said = cannot_write(OSError(code, os.strerror(code)), tmp_path / "a")
    assert said.fix == "choose another folder, or change what is there"
    assert said.what == f"cannot write: {os.strerror(code)}" and said.where == str(tmp_path / "a")


def test_a_full_disk_says_what_is_free_at_the_nearest_folder(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "MB are free" in cannot_write(full, tmp_path / "not" / "there").fix


def test_a_link_to_a_folder_is_no_part_of_a_sealed_one(tmp_path: Path) -> None:
    """Files within it are seen through the link by nobody: it is named itself."""
    with storage.new_folder(tmp_path / "stage", {}) as folder:
        (folder / "one").write_text("1")
    (tmp_path / "beside").mkdir()
    (tmp_path / "stage" / "link").symlink_to(tmp_path / "beside")
    (tmp_path / "stage" / ".hidden").mkdir()
    (tmp_path / "stage" / ".hidden" / "x").write_text("of a file manager")
    assert storage.damage(tmp_path / "stage") == ["link: not part of it"]


def test_a_file_that_is_added_is_sealed_with_those_before(tmp_path: Path) -> None:
    with storage.new_folder(tmp_path / "run", {"recipe": "r"}) as folder:
        (folder / "one").write_text("1")
    (tmp_path / "run" / "two").write_text("2")
    assert storage.damage(tmp_path / "run") == ["two: not part of it"]
    storage.seal_more(tmp_path / "run", "two")
    assert storage.damage(tmp_path / "run") == []
    assert storage.about(tmp_path / "run") == {"recipe": "r"}
    for name in ("one", "two"):
        content = (tmp_path / "run" / name).read_text()
        (tmp_path / "run" / name).write_text("3")
        assert storage.changed_files(tmp_path / "run") == [name]
        (tmp_path / "run" / name).write_text(content)
