"""Stores one folder per finished stage, shared by any number of processes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clearbench import storage
from clearbench.errors import StorageError
from clearbench.storage import (
    MANIFEST,
    content_hash,
    damage,
    is_finished,
    new_folder,
    quarantine,
    safe_name,
    sha256_file,
)
from clearbench.writing import cannot_write, remove, writing

LOCKS = ".locks"
#: Name of a stage's folder, and of what lies beside it: checkpoints, a damaged one, a half-written
#: one.
_NAME = re.compile(
    r"(?P<hidden>\.)?(?P<key>[a-z]+-[A-Za-z0-9._-]*?-[0-9a-f]{8,16})"
    r"(?P<beside>\.unfinished|\.corrupt-\d+|\.\d+\.tmp)?"
)


def stage_key(kind: str, label: str, ingredients: Mapping[str, Any]) -> str:
    """Makes the name of a stage's folder: kind, label and a hash of the ingredients."""
    return safe_name(f"{kind}-{label}-{content_hash(dict(ingredients))}")


@dataclass(frozen=True)
class Store:
    """Folders of finished stages by key, with a lock per stage that is being made.

    A folder appears by one rename when it is whole, so that readers need no lock. Its bytes are
    compared with its manifest before they are first used.

    Attributes:
        root: Folder that holds them.
    """

    root: Path
    _whole: set[str] = field(default_factory=set, compare=False, repr=False)

    def folder(self, key: str) -> Path:
        """Returns the folder of the stage of that key, whether or not it exists."""
        return self.root / key

    def scratch(self, key: str) -> Path:
        """Returns the folder in which an unfinished stage keeps its checkpoints."""
        return self.root / f"{key}.unfinished"

    def holds(self, key: str) -> bool:
        """Whether the store has the whole stage; every byte is read once by each process."""
        folder = self.folder(key)
        if not is_finished(folder):
            return False
        if key not in self._whole and not self.damage(key):
            self._whole.add(key)
        return key in self._whole

    def damage(self, key: str) -> list[str]:
        """Lists what is wrong with a stage that is there, a line each."""
        folder = self.folder(key)
        if folder.is_symlink() or not folder.is_dir():
            return ["no folder, where a stage should be"]
        return damage(folder) or self._of_another(key)

    def _of_another(self, key: str) -> list[str]:
        about = storage.about(self.folder(key))
        made = {name: value for name, value in about.items() if name not in ("kind", "label")}
        if stage_key(str(about.get("kind")), str(about.get("label")), made) == key:
            return []
        return [f"{MANIFEST}: of another stage"]

    def finished(self, key: str) -> Path:
        """Returns the folder of a finished stage, to read from.

        Raises:
            StorageError: It is missing, or its bytes are not those that were written.
        """
        if not self.holds(key):
            lines = self.damage(key)
            what = f"{key}: {'; '.join(lines) if lines else 'not finished'}"
            raise StorageError(what, str(self.root), "run again: it is made again")
        return self.folder(key)

    def content_digest(self, key: str) -> str:
        """Computes the sha256 of a finished stage's manifest, which holds that of every file."""
        return sha256_file(self.folder(key) / MANIFEST)

    @contextmanager
    def lock(self, key: str, wait: float) -> Iterator[bool]:
        """Locks a stage for one process that makes it; the lock of a dead process is free.

        Args:
            key: Key of the stage.
            wait: Seconds to wait for another process; negative waits for ever.

        Yields:
            Whether the lock was got.
        """
        locks = self.root / LOCKS
        lock = FileLock(locks / f"{key}.lock")
        try:
            locks.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=wait)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise cannot_write(error, self.root) from error
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def running(self, out: Path) -> Iterator[bool]:
        """Locks the folder of a run for one process, and keeps its stages from being pruned.

        A place that nobody can write needs no lock.

        Yields:
            Whether the lock was got.
        """
        if self.root.is_dir() and not os.access(self.root, os.W_OK):
            yield True
            return
        with self.lock(f"run-{content_hash(str(out.resolve()))}", 0) as mine:
            yield mine

    @contextmanager
    def new(self, key: str, about: dict[str, Any]) -> Iterator[Path]:
        """Yields an empty folder that becomes the stage's when the block ends well.

        Only the holder of the lock may call it: leftovers of killed processes are removed.
        """
        for beside, path in list(self.beside()):
            if beside == key and path.suffix == ".tmp":
                remove(path)
        if self._is_damaged(key):
            with writing(self.folder(key)):
                quarantine(self.folder(key))
        with new_folder(self.folder(key), about) as folder:
            yield folder
        shutil.rmtree(self.scratch(key), ignore_errors=True)

    def set_aside(self, key: str) -> list[str]:
        """Moves a damaged stage aside, unless another process is making it again.

        Returns:
            What is wrong with it and where it lies now, a line each; none for a whole or missing
            stage.
        """
        if not self._is_damaged(key):
            return []
        with self.lock(key, 0) as mine:
            if not mine or not self._is_damaged(key):
                return []
            lines = self.damage(key)
            with writing(self.folder(key)):
                moved = quarantine(self.folder(key))
        return [*lines, f"kept as {moved.name}, and made again"]

    def _is_damaged(self, key: str) -> bool:
        return os.path.lexists(self.folder(key)) and not self.holds(key)

    def beside(self) -> Iterator[tuple[str, Path]]:
        """Yields key and place of checkpoints, damaged stages and half-written ones."""
        for path in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            found = _NAME.fullmatch(path.name)
            if found and found["beside"] and bool(found["hidden"]) == path.name.endswith(".tmp"):
                yield found["key"], path

    def stage_keys(self) -> list[str]:
        """Lists the keys of stages that lie here, whole or damaged."""
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        found = (_NAME.fullmatch(name) for name in names)
        return [m["key"] for m in found if m and not m["beside"] and not m["hidden"]]

    def tidy(self) -> None:
        """Removes what killed processes left of stages that no process is making."""
        for key, path in list(self.beside()):
            over = path.suffix == ".unfinished" and is_finished(self.folder(key))
            if over or path.suffix == ".tmp":
                with self.lock(key, 0) as mine:
                    if mine:
                        remove(path)

    def is_busy(self) -> bool:
        """Whether a process is running on this store."""
        for path in sorted((self.root / LOCKS).glob("*.lock")):
            with self.lock(path.stem, 0) as mine:
                if not mine:
                    return True
        return False

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Returns the manifest of every finished stage, by key."""
        return {
            key: storage.about(self.folder(key))
            for key in self.stage_keys()
            if is_finished(self.folder(key))
        }
