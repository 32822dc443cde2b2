"""Removes the stages of finished runs that no recipe needs any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from clearbench.errors import StorageError
from clearbench.runs.files import RECIPE, STAGES, stages_of
from clearbench.runs.recipe import load_recipe
from clearbench.runs.run import plan_run
from clearbench.runs.stage import with_parents
from clearbench.runs.store import Store
from clearbench.storage import MANIFEST
from clearbench.writing import remove


def prune_runs(folders: Sequence[Path], store: Path | None = None, *, really: bool) -> list[str]:
    """Lists stages of a store that no recipe of these runs needs, and removes them if `really`.

    Checkpoints of a needed stage that is not finished stay. What is no stage is left alone.

    Args:
        folders: Runs with stages of their own, or all runs that share the store.
        store: Store with the shared stages.
        really: True to remove them.

    Raises:
        StorageError: There are no stages, or a process is running on them.
    """
    needed = {name for folder in folders for name in _needed(folder, store)}
    places = [Store(store)] if store else [Store(folder / STAGES) for folder in folders]
    for place in places:
        if place.is_busy():
            fix = "prune when it has ended"
            raise StorageError("a process is running on these stages", str(place.root), fix)
    extra = [path for place in places for path in _unneeded(place, needed)]
    for path in extra:
        if really:
            remove(path)
    return sorted(path.name for path in extra)


def _unneeded(place: Store, needed: set[str]) -> Iterator[Path]:
    """Yields stages that are not needed, and what lies beside stages but checkpoints to resume."""
    for key in place.stage_keys():
        if key not in needed and (place.folder(key) / MANIFEST).is_file():
            yield place.folder(key)
    for key, path in place.beside():
        if not (key in needed and path == place.scratch(key) and not place.folder(key).exists()):
            yield path


def _needed(folder: Path, store: Path | None) -> Iterator[str]:
    """Yields keys of the stages of a run's recipe."""
    stages_of(folder, store)
    planned = plan_run(load_recipe(folder / RECIPE), folder, store, keep=False)
    yield planned.data.key
    yield from with_parents(planned.stages)
