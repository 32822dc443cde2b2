"""Stores one folder per finished stage, shared by any number of processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clearbench.errors import StorageError
from clearbench.storage import MANIFEST, is_finished, new_folder, read_json


@dataclass(frozen=True)
class Store:
    """Folders of finished stages by key, with a lock per stage that is being made.

    A folder appears by one rename when it is whole, so that readers need no lock.

    Attributes:
        root: Folder that holds them.
    """

    root: Path

    def folder(self, key: str) -> Path:
        """Returns the folder of the stage of that key, whether or not it exists."""
        return self.root / key

    def scratch(self, key: str) -> Path:
        """Returns the folder in which an unfinished stage keeps its checkpoints."""
        return self.root / f"{key}.unfinished"

    def holds(self, key: str) -> bool:
        """Whether the store has the whole stage."""
        return is_finished(self.folder(key))

    @contextmanager
    def lock(self, key: str, wait: float) -> Iterator[bool]:
        """Locks a stage for one process that makes it; the lock of a dead process is free.

        Args:
            key: Key of the stage.
            wait: Seconds to wait for another process; negative waits for ever.

        Yields:
            Whether the lock was got.
        """
        locks = self.root / ".locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "choose another --out or --store"
            raise StorageError(f"cannot write: {error.strerror}", str(self.root), fix) from error
        lock = FileLock(locks / f"{key}.lock")
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def new(self, key: str, about: dict[str, Any]) -> Iterator[Path]:
        """Yields an empty folder that becomes the stage's when the block ends well.

        Only the holder of the lock may call it: leftovers of killed processes are removed.
        """
        for left in self.root.glob(f".{key}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        with new_folder(self.folder(key), about) as folder:
            yield folder
        shutil.rmtree(self.scratch(key), ignore_errors=True)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Returns the manifest of every finished stage, by key."""
        return {
            path.parent.name: dict(read_json(path).get("about", {}))
            for path in sorted(self.root.glob(f"[!.]*/{MANIFEST}"))
            if is_finished(path.parent)
        }
