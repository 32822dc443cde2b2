"""Writes results, as the only module: files and folders that are whole or not there at all.

A folder is written next to its final place, synced, sealed with a manifest of sha256 sums, and only
then renamed. A folder without a valid manifest does not exist, so a kill leaves nothing half-done.
What a killed process left beside the place is removed by the next writer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clearbench.errors import StorageError
from clearbench.writing import (
    cannot_write,
    closed,
    is_folder,
    remove_leftovers,
    temporary_of,
    writing,
)

MANIFEST = "manifest.json"
#: Version of the manifest; one of version 1 has no sum of its own.
FORMAT = 2
_REMAKE = "make the folder again"
#: Longest file name that is accepted, in bytes: every file system takes it with a suffix of ours.
LONGEST_NAME = 200


def canonical_json(value: Any) -> str:
    """Writes JSON with sorted keys and fixed separators; equal values give equal text. No NaN."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def content_hash(value: Any) -> str:
    """Computes the first 16 hexadecimal digits of the sha256 of a JSON-like value."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sha256_file(path: Path) -> str:
    """Computes the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Reads a JSON file; raises a `StorageError` with its name when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise StorageError("there is no such file", str(path), "check the path") from error
    except OSError as error:
        what = f"cannot read: {error.strerror}"
        raise StorageError(what, str(path), "check the path and its permissions") from error
    except ValueError as error:
        raise StorageError(f"not valid JSON: {error}", str(path), "restore the file") from error
    except RecursionError as error:
        what = "not JSON that clearbench writes: nested too deeply"
        raise StorageError(what, str(path), "restore the file") from error


def safe_name(name: str) -> str:
    """Makes a file name of letters, digits, '.', '_' and '-' only, with a hash where it changes."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80]
    if clean == name and clean:
        return clean
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{clean or 'name'}-{digest[:8]}"


def inside(root: Path, part: str) -> Path:
    """Joins `root / part`; refuses a path outside `root`, and names that no file can have."""
    try:
        path = (root / part).resolve()
        longest = max((len(os.fsencode(name)) for name in Path(part).parts), default=0)
    except (ValueError, OSError) as error:
        raise StorageError(f"{part!r} is no file name", str(root), "use a plain name") from error
    if longest > LONGEST_NAME:
        what = f"a name of {longest} bytes is too long for a file"
        raise StorageError(what, str(root), f"use a name of at most {LONGEST_NAME} bytes")
    if not path.is_relative_to(root.resolve()):
        raise StorageError(f"{part!r} leads out of the folder", str(root), "use a plain name")
    return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file or nothing; an earlier file survives any failure."""
    temporary = temporary_of(path)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes canonical JSON, whole or not at all."""
    write_bytes(path, canonical_json(value).encode())


def is_finished(folder: Path) -> bool:
    """Whether a sealed folder exists with every file at its recorded size; bytes are not read."""
    try:
        files = _sealed(folder)["files"]
        return all(
            (folder / name).is_file() and (folder / name).stat().st_size == entry["bytes"]
            for name, entry in files.items()
        )
    except (StorageError, OSError):
        return False


def damage(folder: Path) -> list[str]:
    """Lists what is wrong with a sealed folder, a line each; empty for a whole one."""
    try:
        files = _sealed(folder)["files"]
    except StorageError as error:
        return [f"{MANIFEST}: {error.what}"]
    return [
        f"{name}: {'changed or missing' if name in files else 'not part of it'}"
        for name in _unlike(folder, files)
    ]


def about(folder: Path) -> dict[str, Any]:
    """Reads what the manifest of a sealed folder says that it was made of.

    Raises:
        StorageError: There is no manifest, or it is damaged.
    """
    found = _sealed(folder)["about"]
    if not isinstance(found, dict):
        raise StorageError("not a valid manifest", str(folder / MANIFEST), _REMAKE)
    return found


def _sealed(folder: Path) -> dict[str, Any]:
    """Reads a manifest; raises a `StorageError` where it is missing or damaged."""
    path = folder / MANIFEST
    content = read_json(path)
    try:
        sealed = {"about": content["about"], "files": content["files"]}
        valid = content == _manifest(**sealed) if content["format_version"] == FORMAT else False
        older = content == {"format_version": 1, **sealed}
        shaped = all(
            type(entry["bytes"]) is int and isinstance(entry["sha256"], str)
            for entry in content["files"].values()
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StorageError("not a valid manifest", str(path), _REMAKE) from error
    if not (shaped and (valid or older)):
        raise StorageError("not a valid manifest", str(path), _REMAKE)
    return sealed


def _manifest(about: Any, files: Any) -> dict[str, Any]:
    """Makes the content of a manifest, with a sum of itself."""
    sealed = {"about": about, "files": files}
    digest = hashlib.sha256(canonical_json(sealed).encode()).hexdigest()
    return {"format_version": FORMAT, **sealed, "sha256": digest}


def verify(folder: Path) -> list[str]:
    """Lists the files of a sealed folder that are not as its manifest says, or not in it.

    Hidden files, such as those of a file manager, do not count. A link is no file of ours.

    Raises:
        StorageError: There is no manifest, or it is damaged.
    """
    return _unlike(folder, _sealed(folder)["files"])


def _unlike(folder: Path, files: dict[str, Any]) -> list[str]:
    """Lists the files of a folder that are not as a manifest says, or not in it."""
    there = {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    extra = [
        name.as_posix()
        for name in there
        if name.as_posix() not in {*files, MANIFEST}
        and not any(part.startswith(".") for part in name.parts)
    ]
    return sorted([*extra, *_changed(folder, files)])


def changed_files(folder: Path) -> list[str]:
    """Lists the files in the manifest of a folder that are missing or have other bytes.

    Raises:
        StorageError: There is no manifest, or it is damaged.
    """
    return _changed(folder, _sealed(folder)["files"])


def _changed(folder: Path, files: dict[str, Any]) -> list[str]:
    return [name for name, entry in sorted(files.items()) if not _is_same(folder / name, entry)]


def is_sealed(path: Path) -> bool:
    """Whether the manifest of its folder covers a file, which has the bytes it was sealed with."""
    try:
        entry = _sealed(path.parent)["files"].get(path.name)
    except StorageError:
        return False
    return entry is not None and _is_same(path, entry)


def check_sealed(path: Path) -> None:
    """Refuses a file that is not as the manifest of its folder says, where there is one.

    Raises:
        StorageError: The file, or the manifest, is not what was written.
    """
    if not (path.parent / MANIFEST).exists():
        return
    if path.name in _sealed(path.parent)["files"] and not is_sealed(path):
        fix = "run the recipe again: it is written again from what the run measured"
        raise StorageError("changed or missing since it was written", str(path), fix)


def _is_same(path: Path, entry: dict[str, Any]) -> bool:
    """Whether a file has the recorded bytes; one that cannot be read has not."""
    with suppress(OSError):
        plain = path.is_file() and not path.is_symlink()
        same = plain and path.stat().st_size == entry["bytes"]
        return same and sha256_file(path) == entry["sha256"]
    return False


def seal(folder: Path, about: dict[str, Any], names: Iterable[str] | None = None) -> None:
    """Writes the manifest of a folder.

    Args:
        folder: Folder whose files are written.
        about: Settings and inputs that decide its content, as JSON.
        names: Names of the files that it covers; None for all.
    """
    paths = folder.rglob("*") if names is None else map(folder.joinpath, names)
    files = {
        path.relative_to(folder).as_posix(): _entry(path)
        for path in sorted(path for path in paths if path.is_file())
    }
    write_json(folder / MANIFEST, _manifest(json.loads(canonical_json(about)), files))


def seal_more(folder: Path, name: str) -> None:
    """Adds a file that was written since to the manifest of a folder."""
    sealed = _sealed(folder)
    files = sealed["files"] | {name: _entry(folder / name)}
    write_json(folder / MANIFEST, _manifest(sealed["about"], files))


def seal_about(folder: Path, about: dict[str, Any]) -> None:
    """Replaces what the manifest of a folder says of its making; what it says of files stays."""
    kept = _sealed(folder)["files"]
    write_json(folder / MANIFEST, _manifest(json.loads(canonical_json(about)), kept))


def _entry(path: Path) -> dict[str, Any]:
    _sync(path)
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def check_free(folder: Path) -> None:
    """Refuses a folder that is finished, or holds unsealed files; a damaged one may be replaced.

    Raises:
        StorageError: The folder is in use; nothing in it is changed.
    """
    if is_folder(folder) and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise StorageError("there is something else already", str(folder), "choose another folder")
    if is_finished(folder):
        raise StorageError("this folder is finished already", str(folder), "choose another folder")


@contextmanager
def new_folder(folder: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Yields a temporary folder that becomes `folder` when the block ends well, else is removed.

    If another process has finished the same folder meanwhile, that one stays.

    Raises:
        WriteError: The disk is full, or the place cannot be written.
    """
    check_free(folder)
    remove_leftovers(folder)
    temporary = temporary_of(folder)
    try:
        with writing(folder):
            temporary.mkdir(parents=True)
        try:
            yield temporary
        except Exception as error:
            if (full := closed(error)) is not None:
                raise cannot_write(full, folder) from error
            raise
        with writing(folder):
            _publish(temporary, folder, about)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path, about: dict[str, Any]) -> None:
    """Seals a folder and moves it to its place, unless a finished one is there."""
    seal(temporary, about)
    if is_finished(folder):
        return
    if os.path.lexists(folder):
        quarantine(folder)
    temporary.replace(folder)
    _sync(folder.parent)


def quarantine(folder: Path) -> Path:
    """Moves a damaged folder aside, or what lies in its place, as `NAME.corrupt-K`."""
    number = 1
    while os.path.lexists(target := folder.with_name(f"{folder.name}.corrupt-{number}")):
        number += 1
    folder.replace(target)
    return target
