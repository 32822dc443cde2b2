"""Verifies the stages of finished runs, lists changes since, and removes unneeded stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearbench.errors import ClearbenchError, RecipeError, StorageError
from clearbench.runs.execute import with_parents
from clearbench.runs.files import RECIPE
from clearbench.runs.reasons import changes_since
from clearbench.runs.recipe import Recipe, load_recipe
from clearbench.runs.run import STAGES, data_stage, plan_run
from clearbench.runs.stages.model import ModelSource
from clearbench.runs.store import Store
from clearbench.runs.written import damaged_files
from clearbench.storage import MANIFEST
from clearbench.writing import remove


@dataclass(frozen=True)
class Verification:
    """Result of verifying the stages of a run.

    Attributes:
        damaged: Files whose bytes differ from their manifest.
        changed: Ingredients of the stages that are different today.
    """

    damaged: tuple[str, ...]
    changed: tuple[str, ...]


def verify_run(folder: Path, store: Path | None = None) -> Verification:
    """Checks every file of a run and of its stages, and the ingredients of those.

    Args:
        folder: Folder of the run.
        store: Store of its stages, where they are not below it.

    Raises:
        StorageError: There are no stages.
    """
    place = Store(_stages(folder, store))
    manifests = place.manifests()
    damaged = [*damaged_files(folder)]
    damaged += [f"{key}/{line}" for key in place.stage_keys() for line in place.damage(key)]
    today = _materials(folder)
    changed: dict[str, list[str]] = {}
    for key, about in manifests.items():
        for change in changes_since(about, today.get(_material_key(about), {})):
            changed.setdefault(change, []).append(key)
    lines = [f"{change} ({len(keys)} stages)" for change, keys in sorted(changed.items())]
    return Verification(tuple(damaged), tuple(lines))


def _material_key(about: Mapping[str, Any]) -> str:
    """Names the material of a recipe that a stage was made of."""
    kind = str(about.get("kind", ""))
    settings = about.get("settings", {})
    return f"{kind} {settings.get('model', '')}" if kind == "teach" else kind


def _materials(folder: Path) -> dict[str, dict[str, str]]:
    """Computes today's digests of a recipe's data and base models; missing ones are `gone`.

    None for a recipe that cannot be read, such as one of a plugin that is not loaded.
    """
    try:
        recipe = load_recipe(folder / RECIPE)
    except RecipeError:
        return {}
    digests = {"data": {"data": _data_digest(recipe)}}
    for kind, part in recipe.models.items():
        source = ModelSource(kind, part.source, part.head, part.dtype, part.base)
        digests[f"teach {kind}"] = {"base model": _base_digest(source)}
    return digests


def _data_digest(recipe: Recipe) -> str:
    try:
        return data_stage(recipe).materials.get("data", "")
    except ClearbenchError:
        return "gone"


def _base_digest(source: ModelSource) -> str:
    try:
        return source.digest
    except ClearbenchError:
        return "gone"


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
    _stages(folder, store)
    planned = plan_run(load_recipe(folder / RECIPE), folder, store, keep=False)
    yield planned.data.key
    yield from with_parents(planned.stages)


def _stages(folder: Path, store: Path | None) -> Path:
    place = store or folder / STAGES
    if not place.is_dir():
        raise StorageError(
            "no stages here", str(place), "give the folder of a run, and --store as for the run"
        )
    return place
