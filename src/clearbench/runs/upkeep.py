"""Verifies the stages of finished runs, lists changes since, and removes unneeded stages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearbench.errors import ClearbenchError, RecipeError, StorageError
from clearbench.runs.execute import with_parents
from clearbench.runs.reasons import changes_since
from clearbench.runs.recipe import Recipe, load_recipe
from clearbench.runs.run import RECIPE, STAGES, data_stage, plan_run
from clearbench.runs.stages.model import ModelSource
from clearbench.runs.store import Store
from clearbench.storage import verify


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
    """Checks every file of a run's stages, and their ingredients.

    Args:
        folder: Folder of the run.
        store: Store of its stages, where they are not below it.

    Raises:
        StorageError: There are no stages.
    """
    place = Store(_stages(folder, store))
    manifests = place.manifests()
    damaged = [
        f"{key}/{name}: changed or missing"
        for key in sorted(path.name for path in place.root.iterdir())
        if not key.startswith(".") and (place.root / key / "manifest.json").is_file()
        for name in verify(place.root / key)
    ]
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
    """Lists folders of a store that no recipe of these runs needs, and removes them if `really`.

    Args:
        folders: Runs with stages of their own, or all runs that share the store.
        store: Store with the shared stages.
        really: True to remove them.
    """
    needed = {name for folder in folders for name in _needed(folder, store)}
    places = [store] if store else [folder / STAGES for folder in folders]
    extra = sorted(
        path
        for place in places
        for path in place.iterdir()
        if path.name not in needed and path.name != ".locks"
    )
    for path in extra:
        if really:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [path.name for path in extra]


def _needed(folder: Path, store: Path | None) -> Iterator[str]:
    """Yields keys of the stages of a run's recipe."""
    _stages(folder, store)
    planned = plan_run(load_recipe(folder / RECIPE), folder, store)
    yield planned.data.key
    yield from with_parents(planned.stages)


def _stages(folder: Path, store: Path | None) -> Path:
    place = store or folder / STAGES
    if not place.is_dir():
        raise StorageError(
            "no stages here", str(place), "give the folder of a run, and --store as for the run"
        )
    return place
