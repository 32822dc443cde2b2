"""Writes results, as the only module: files and folders that are whole or not there at all.

A folder is written next to its final place, synced, sealed with a manifest of sha256 sums, and only
then renamed. A folder without a valid manifest does not exist, so a kill leaves nothing half-done.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clearbench.errors import StorageError

MANIFEST = "manifest.json"


def canonical_json(value: Any) -> str:
    """Writes JSON with sorted keys and fixed separators; equal values give equal text. No NaN."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def content_hash(value: Any) -> str:
    """Computes the first 16 hexadecimal digits of the sha256 of a JSON-like value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def sha256_file(path: Path) -> str:
    """Computes the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> Any:
    """Reads a JSON file; raises a `StorageError` with its name when it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise StorageError("there is no such file", str(path), "check the path") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise StorageError(f"not valid JSON: {error}", str(path), "restore the file") from error


def safe_name(name: str) -> str:
    """Makes a file name of letters, digits, '.', '_' and '-' only, with a hash where it changes."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80]
    if clean == name and clean:
        return clean
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{clean or 'name'}-{digest[:8]}"


def inside(root: Path, part: str) -> Path:
    """Joins `root / part`; refuses a path outside `root`."""
    try:
        path = (root / part).resolve()
    except (ValueError, OSError) as error:
        raise StorageError(f"{part!r} is no file name", str(root), "use a plain name") from error
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _full_or_forbidden(error, path) from error


def write_json(path: Path, value: Any) -> None:
    """Writes canonical JSON, whole or not at all."""
    write_bytes(path, canonical_json(value).encode())


def _full_or_forbidden(error: OSError, path: Path) -> StorageError:
    where = next(parent for parent in (path, *path.parents) if parent.is_dir())
    free = shutil.disk_usage(where).free
    return StorageError(
        f"cannot write: {error.strerror}",
        str(path),
        f"free some space ({free / 1e6:.0f} MB are free) or choose another folder with --out",
    )


def is_finished(folder: Path) -> bool:
    """Whether a sealed folder exists with every file at its recorded size."""
    try:
        files = _sealed_files(folder)
    except (StorageError, OSError):
        return False
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == entry["bytes"]
        for name, entry in files.items()
    )


def _sealed_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads the files in the manifest; raises a `StorageError` where it is missing or damaged."""
    content = read_json(folder / MANIFEST)
    try:
        return {
            name: {"bytes": entry["bytes"], "sha256": entry["sha256"]}
            for name, entry in content["files"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        where = str(folder / MANIFEST)
        raise StorageError("not a valid manifest", where, "remove the folder") from error


def verify(folder: Path) -> list[str]:
    """Lists the files of a sealed folder whose bytes differ from its manifest."""
    files = _sealed_files(folder)
    return [
        name
        for name, entry in sorted(files.items())
        if not (folder / name).is_file() or sha256_file(folder / name) != entry["sha256"]
    ]


def _seal(folder: Path, about: dict[str, Any]) -> None:
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        _sync(path)
        name = path.relative_to(folder).as_posix()
        files[name] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    write_json(folder / MANIFEST, {"format_version": 1, "about": about, "files": files})


def check_free(folder: Path) -> None:
    """Refuses a folder that is finished, or holds unsealed files; a damaged one may be replaced.

    Raises:
        StorageError: The folder is in use; nothing in it is changed.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise StorageError("there is something else already", str(folder), "choose another folder")
    if is_finished(folder):
        raise StorageError("this folder is finished already", str(folder), "choose another folder")


@contextmanager
def new_folder(folder: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Yields a temporary folder that becomes `folder` when the block ends well, else is removed.

    If another process has finished the same folder meanwhile, that one stays.
    """
    check_free(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _seal(temporary, about)
        if is_finished(folder):
            return
        if folder.exists():
            quarantine(folder)
        temporary.replace(folder)
        _sync(folder.parent)
    except OSError as error:
        raise _full_or_forbidden(error, folder) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def quarantine(folder: Path) -> Path:
    """Moves a damaged folder aside, as `NAME.corrupt-K`."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.corrupt-{number}")).exists():
        number += 1
    folder.replace(target)
    return target
