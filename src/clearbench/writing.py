"""Names the temporaries of a write, removes those of dead processes, and explains failed writes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from clearbench.errors import StorageError, WriteError

#: Errors of a place that takes no more, whoever writes.
_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def temporary_of(path: Path) -> Path:
    """Names the place in which this process writes before the rename."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_leftovers(path: Path) -> None:
    """Removes what processes that are gone left of writing a file or folder."""
    with suppress(OSError):
        for entry in list(path.parent.iterdir()):
            writer = _writer(entry.name, path.name)
            if writer is not None and (writer == os.getpid() or not psutil.pid_exists(writer)):
                remove(entry)


def _writer(temporary: str, name: str) -> int | None:
    """Reads the id of the process that wrote a temporary; None where it is none of `name`."""
    before, after = f".{name}.", ".tmp"
    number = temporary.removeprefix(before).removesuffix(after)
    return int(number) if temporary == f"{before}{number}{after}" and number.isdecimal() else None


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder, as far as it can be."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def is_folder(path: Path) -> bool:
    """Whether there is a folder; none at a name that no folder can have."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names the place, the cause and what to do where the block cannot write.

    Raises:
        WriteError: The disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(error, path) from error


def cannot_write(error: OSError, path: Path) -> WriteError:
    """Makes the error of a place that cannot be written: its path, the cause, and what to do."""
    what = f"cannot write: {error.strerror or error}"
    match error.errno:
        case errno.EROFS | errno.EACCES | errno.EPERM | errno.ENOTDIR | errno.EEXIST:
            fix = "choose another folder, or change what is there"
        case errno.ENAMETOOLONG:
            fix = "use a shorter name"
        case errno.EFBIG:
            fix = "let files be larger (`ulimit -f unlimited`), or choose another file system"
        case _:
            where = next((parent for parent in (path, *path.parents) if is_folder(parent)), "/")
            free = shutil.disk_usage(where).free
            fix = f"free some space ({free / 1e6:.0f} MB are free) or choose another folder"
    return WriteError(what, str(path), fix)


def closed(error: Exception) -> OSError | None:
    """Finds the error of a place that takes no more, also in that of a library in another language.

    Returns:
        The error with its number; None where the error is another one.
    """
    if isinstance(error, OSError) and error.errno in _CLOSED:
        return error
    for number in _CLOSED:
        words = (os.strerror(number), f"os error {number})")
        if not isinstance(error, StorageError) and any(part in str(error) for part in words):
            return OSError(number, os.strerror(number))
    return None
