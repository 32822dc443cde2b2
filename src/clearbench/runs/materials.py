"""Computes digests of inputs that no stage made: data and model files, revisions of the hub."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from clearbench.errors import DataError, ModelError
from clearbench.storage import sha256_file

#: Files that nearly every repository has; one of them gives the cached revision.
_ALWAYS = {"model": "config.json", "dataset": "README.md"}
RepositoryType = Literal["model", "dataset"]


def content_digest(source: str | Path, kind: RepositoryType) -> str:
    """Computes the sha256 of a file's or a folder's content, or names the revision of a hub id.

    Args:
        source: Path of a file or folder, or the id of a repository of the hub.
        kind: Type `model` or `dataset`, where it is a hub id.

    Raises:
        DataError: A dataset is neither here nor on the hub.
        ModelError: A model is neither here nor on the hub.
    """
    path = Path(source)
    if path.is_file():
        return _file_digest(path, path.stat().st_size, path.stat().st_mtime_ns)
    if path.is_dir():
        return _folder_digest(path)
    return _revision(str(source), kind)


def _folder_digest(folder: Path) -> str:
    """Computes the sha256 of a folder; hidden files, such as a version control's, do not count."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if not any(part.startswith(".") for part in name.parts):
            status = path.stat()
            digest = _file_digest(path, status.st_size, status.st_mtime_ns)
            total.update(f"{name.as_posix()}\0{digest}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size: int, changed: int) -> str:
    return sha256_file(path)


def _revision(repository: str, kind: RepositoryType) -> str:
    """Finds the commit that is cached here, or the newest one."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        cached = try_to_load_from_cache(repository, _ALWAYS[kind], repo_type=kind)
        if isinstance(cached, str):
            return Path(cached).parent.name
        return str(HfApi().repo_info(repository, repo_type=kind).sha)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        family = ModelError if kind == "model" else DataError
        raise family(
            f"no such {kind}: neither a folder here nor in the hub's cache, and the hub says: "
            + (str(error).strip() or type(error).__name__).splitlines()[0],
            repository,
            "give a folder, or a hub id that can be reached",
        ) from error
