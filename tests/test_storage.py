"""Folders and files are whole or not there, whatever stops the writer."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clearbench import storage
from clearbench.errors import StorageError, WriteError

#: Runs a writer that kills itself at the n-th sync: between any two files, before or after each.
CHILD = """
import os, signal, sys
from pathlib import Path
from clearbench import storage
out, fatal, count = Path(sys.argv[1]), int(sys.argv[2]), 0
real = os.fsync
def fsync(descriptor):
    global count
    count += 1
    if count == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
with storage.new_folder(out, {"a": 1}) as folder:
    for name in ("one", "two"):
        (folder / name).write_text(name)
print(count)
"""


def child(out: Path, fatal: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(out), str(fatal)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def made(folder: Path) -> Path:
    with storage.new_folder(folder, {"seed": 1}) as temporary:
        (temporary / "weights.bin").write_bytes(bytes(range(256)))
        (temporary / "sub").mkdir()
        (temporary / "sub" / "notes.json").write_text("{}")
    return folder


def test_a_kill_between_any_two_files_leaves_no_folder(tmp_path: Path) -> None:
    whole = child(tmp_path / "whole", 0)
    assert whole.returncode == 0 and storage.is_finished(tmp_path / "whole")
    syncs = int(whole.stdout)
    assert syncs >= 4, "each file, the manifest, and the folder are synced"
    for fatal in range(1, syncs):
        out = tmp_path / f"killed-{fatal}"
        assert child(out, fatal).returncode == -signal.SIGKILL
        assert not out.exists() and not storage.is_finished(out)
        assert child(out, 0).returncode == 0, "the next run makes it"
        assert storage.is_finished(out) and not storage.verify(out)
    last = tmp_path / "after-the-rename"
    assert child(last, syncs).returncode == -signal.SIGKILL
    assert storage.is_finished(last) and not storage.verify(last)


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), storage.new_folder(tmp_path / "new", {}) as folder:
        (folder / "half").write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fatal", [1, 2, 3])
def test_a_full_disk_keeps_the_old_content(
    fatal: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, calls = tmp_path / "results.json", []
    storage.write_json(path, {"old": 1})
    real = os.fsync

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == fatal:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    if fatal == 3:
        storage.write_json(path, {"new": 2})
        assert storage.read_json(path) == {"new": 2}, "file and folder were synced already"
        return
    with pytest.raises(StorageError, match="No space left on device") as caught:
        storage.write_json(path, {"new": 2})
    assert str(path) in str(caught.value) and "MB are free" in caught.value.fix
    assert storage.read_json(path) in ({"old": 1}, {"new": 2})
    assert fatal == 2 or storage.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_full_disk_while_a_folder_is_sealed_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(tmp_path / "stage")
    (old / "weights.bin").write_bytes(b"damaged")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        made(tmp_path / "stage")
    assert storage.verify(old) == ["weights.bin"], "what was there is left as it was"
    assert [p.name for p in tmp_path.iterdir()] == ["stage"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for write in (
        lambda: storage.write_json(tmp_path / "file" / "results.json", {}),
        lambda: made(tmp_path / "file" / "stage"),
        lambda: storage.write_json(Path("/dev/full/results.json"), {}),
    ):
        with pytest.raises(StorageError, match="cannot write"):
            write()


def corrupt(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    match how:
        case "one bit":
            content[len(content) // 2] ^= 1
        case "truncated":
            del content[len(content) // 2 :]
        case "zeroed":
            content[:] = bytes(len(content))
    path.write_bytes(content) if how != "deleted" else path.unlink()


@pytest.mark.parametrize("how", ["one bit", "truncated", "zeroed", "deleted"])
@pytest.mark.parametrize("name", ["weights.bin", "sub/notes.json"])
def test_verify_names_what_is_not_as_it_was(how: str, name: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "stage")
    assert storage.verify(folder) == []
    corrupt(folder / name, how)
    assert storage.verify(folder) == [name]
    assert storage.is_finished(folder) is (how in ("one bit", "zeroed"))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"files": 1}', '{"files": {"a": 1}}'])
def test_a_folder_with_a_damaged_manifest_does_not_exist(content: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "stage")
    (folder / storage.MANIFEST).write_text(content)
    assert not storage.is_finished(folder)
    with pytest.raises(StorageError):
        storage.verify(folder)
    with storage.new_folder(folder, {}) as temporary:
        (temporary / "fresh").write_text("x")
    assert storage.is_finished(folder) and (folder / "fresh").is_file()
    assert (tmp_path / "stage.corrupt-1" / "weights.bin").is_file()


def test_a_finished_folder_is_not_written_again(tmp_path: Path) -> None:
    folder = made(tmp_path / "stage")
    with pytest.raises(StorageError, match="finished already"):
        made(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


@pytest.mark.parametrize("name", ["thesis.txt", ".git", "sub/thesis.txt", "manifest.json.bak"])
def test_a_folder_of_somebody_else_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    """Said before anything is made, not after hours of it."""
    folder = tmp_path / "stage"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("years of work")
    begun: list[Path] = []
    with (
        pytest.raises(StorageError, match="something else") as caught,
        storage.new_folder(folder, {}) as temporary,
    ):
        begun.append(temporary)
    assert caught.value.where == str(folder) and not begun
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / name]
    assert (folder / name).read_text() == "years of work"


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    assert storage.verify(made(tmp_path / "stage")) == []


def test_of_two_writers_the_first_to_finish_stays(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    with storage.new_folder(folder, {}) as late:
        (late / "who").write_text("late")
        with_name = storage.new_folder
        (tmp_path / "other").mkdir()
        with with_name(tmp_path / "other" / "stage", {}) as early:
            (early / "who").write_text("early")
        (tmp_path / "other" / "stage").rename(folder)
    assert (folder / "who").read_text() == "early"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "stage"]


def add(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def link(folder: Path) -> None:
    (folder / "weights.bin").rename(folder.parent / "elsewhere")
    (folder / "weights.bin").symlink_to(folder.parent / "elsewhere")


def swap(folder: Path) -> None:
    notes, weights = (folder / "sub" / "notes.json").read_bytes(), folder / "weights.bin"
    (folder / "sub" / "notes.json").write_bytes(weights.read_bytes())
    weights.write_bytes(notes)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add, ["adapter_config.json: not part of it"]),
        (link, ["weights.bin: changed or missing"]),
        (swap, ["sub/notes.json: changed or missing", "weights.bin: changed or missing"]),
        (lambda folder: (folder / ".DS_Store").write_text("of a file manager"), []),
    ],
)
def test_what_else_was_done_to_a_folder_is_named(
    change: Callable[[Path], object], named: list[str], tmp_path: Path
) -> None:
    folder = made(tmp_path / "stage")
    change(folder)
    assert storage.damage(folder) == named


@pytest.mark.parametrize("place", range(0, 300, 7))
def test_any_bit_of_a_manifest_counts(place: int, tmp_path: Path) -> None:
    folder = made(tmp_path / "stage")
    manifest = folder / storage.MANIFEST
    content = bytearray(manifest.read_bytes())
    content[place % len(content)] ^= 1 << place % 8
    manifest.write_bytes(content)
    assert storage.damage(folder) and not storage.is_finished(folder)


def test_leftovers_of_dead_processes_alone_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])  # noqa: S607
    dead.wait()
    ours = [f".a.json.{dead.pid}.tmp", f".a.{dead.pid}.tmp"]
    others = [f".b.json.{dead.pid}.tmp", ".a.json.1.tmp", ".a.json.x.tmp", "a.json.tmp"]
    for name in (*ours, *others):
        (tmp_path / name).write_text("half")
    storage.write_json(tmp_path / "a.json", {})
    made(tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {*others, "a.json", "a"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "MB are free"),
        (OSError("[Errno 28] Error writing bytes: No space left on device"), "MB are free"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "MB are free"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "MB are free"),
        (OSError(errno.EFBIG, "File too large"), "ulimit"),
        (OSError(errno.EROFS, "Read-only file system"), "choose another folder"),
    ],
)
def test_a_full_disk_is_named_by_whoever_writes(
    error: Exception, said: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(WriteError, match="cannot write") as caught,
        storage.new_folder(tmp_path / "stage", {}),
    ):
        raise error
    assert said in caught.value.fix and caught.value.where == str(tmp_path / "stage")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_block_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), storage.new_folder(tmp_path / "stage", {}):
        (tmp_path / "not there").read_text()
    with pytest.raises(StorageError, match="too long"):
        storage.inside(tmp_path, "n" * 300)
