"""Verifies the files of finished runs and of their stages, and lists what has changed since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from clearbench.batches.kind import Kind
from clearbench.builtin.folder import BUILTIN, base_folder
from clearbench.errors import ClearbenchError, RecipeError
from clearbench.runs.data_part import DataPart, data_stage
from clearbench.runs.files import RECIPE, damaged_files, stages_of
from clearbench.runs.materials import content_digest
from clearbench.runs.reasons import changes_since
from clearbench.runs.recipe_file import read_recipe
from clearbench.runs.store import Store


class _Base(BaseModel):
    """Base of a model, of all that a recipe says of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str = "builtin"
    base: str | None = None


class _MadeOf(BaseModel):
    """What a recipe says of the people and models that its stages are made of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seed: int = 0
    data: DataPart = DataPart()
    models: dict[Kind, _Base]


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
    place = Store(stages_of(folder, store))
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

    None for a recipe that cannot be read. What it says of methods and scores is not checked again.
    """
    try:
        recipe = read_recipe(folder / RECIPE)
        made_of = _MadeOf.model_validate(recipe)
    except (RecipeError, ValidationError):
        return {}
    stage = data_stage(made_of.data, made_of.seed)
    digests = {"data": {"data": _or_gone(lambda: stage.materials.get("data", ""))}}
    for kind, base in made_of.models.items():
        digests[f"teach {kind}"] = {"base model": _or_gone(partial(_base_digest, kind, base))}
    return digests


def _base_digest(kind: Kind, part: _Base) -> str:
    if part.source == BUILTIN:
        return content_digest(base_folder(), "model")
    from clearbench.runs.stages.model import ModelSource  # it follows an adapter to its base

    return ModelSource(kind, part.source, base=part.base).digest


def _or_gone(digest: Callable[[], str]) -> str:
    try:
        return digest()
    except ClearbenchError:
        return "gone"
