"""What `clearbench list` and `clearbench doctor` say; everything comes from the classes."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clearbench.errors import ClearbenchError, RecipeError, did_you_mean

Rows = list[dict[str, Any]]


def _methods() -> Rows:
    from clearbench.methods.base import methods

    return [
        {
            "name": name,
            "paper": cls.paper,
            "kinds": list(cls.kinds),
            "modalities": list(cls.modalities),
            "needs": list(cls.needs),
            "artefact": cls.artefact,
            "status": cls.status,
            "hyperparameters": {
                key: field.default for key, field in sorted(cls.model_fields.items())
            },
        }
        for name, cls in methods().items()
    ]


def _metrics() -> Rows:
    from clearbench.evaluation.metric import metrics

    return [
        {
            "name": name,
            "needs": list(cls.needs),
            "directions": cls.directions,
            "ideal": "gold's value" if cls.direction("forget") == "gold" else "as gold or better",
            "range": list(cls.range),
            "version": cls.version,
            "erratum": cls.erratum,
            "paper": cls.paper,
            "shows": cls.shows,
        }
        for name, cls in metrics().items()
    ]


def _protocols() -> Rows:
    from clearbench.evaluation.errata import carried
    from clearbench.evaluation.protocols import protocols

    return [
        {
            "name": each.name,
            "version": each.version,
            "shows": each.shows,
            "defects": [f"{e.id}: {e.does}" for e in carried(each.name).values()],
            "required": list(each.required),
            "aggregates": sorted(each.parts),
        }
        for each in protocols().values()
    ]


def _recipes() -> Rows:
    from clearbench.runs.recipe import builtin_recipes, load_recipe

    rows = []
    for name in builtin_recipes():
        recipe = load_recipe(name)
        runs = sum(len(each.modalities) for each in recipe.runs)
        rows.append(
            {"name": name, "title": recipe.title, "models": list(recipe.models), "runs": runs}
        )
    return rows


def _datasets() -> Rows:
    return [
        {"name": "builtin", "what": "fictitious authors with portraits, made from a seed"},
        {"name": "FOLDER", "what": "a folder from `clearbench build`, in the layout of CLEAR"},
        {"name": "FOLDER", "what": "a folder with TOFU's files (full, forget10_perturbed, ...)"},
    ]


def _models() -> Rows:
    return [
        {
            "name": "builtin",
            "kinds": ["language", "vision-language", "classifier"],
            "what": "a base of 2.7 million parameters that ships and knows the built-in world",
        },
        {
            "name": "FOLDER or hub id",
            "kinds": ["language", "vision-language", "classifier"],
            "what": "transformers' causal, image-text and image-classification models",
        },
    ]


_LISTS: dict[str, Callable[[], Rows]] = {
    "methods": _methods,
    "metrics": _metrics,
    "attacks": list,
    "protocols": _protocols,
    "datasets": _datasets,
    "models": _models,
    "recipes": _recipes,
}


def catalogue(what: str) -> Rows:
    """The rows of one list."""
    if what not in _LISTS:
        raise RecipeError(f"no list of '{what}'", "list", did_you_mean(what, _LISTS))
    return _LISTS[what]()


def diagnose(source: str | None) -> list[str]:
    """What this machine has, or what a dataset or model is and lacks."""
    if source is None:
        return _machine()
    from clearbench.data.load import load_dataset
    from clearbench.models.load import load_model

    problems = []
    try:
        dataset = load_dataset(source)
        return [
            f"a dataset: {len(dataset.people('forget'))} people to forget, "
            f"{len(dataset.people('retain'))} to keep",
            *(f"  measured {split}: {len(rows)}" for split, rows in dataset.evaluation.items()),
        ]
    except ClearbenchError as error:
        problems.append(f"not a dataset: {error.what}")
    try:
        model = load_model(source)
        count = sum(p.numel() for p in model.module.parameters())
        return [f"a {model.kind} model of {count / 1e6:.1f} M parameters: {', '.join(model.parts)}"]
    except ClearbenchError as error:
        return [*problems, f"not a model: {error.what}"]


def _machine() -> list[str]:
    import os

    import torch

    free = shutil.disk_usage(Path.cwd()).free / 1e9
    extras = {"build": "mitsuba", "vlm": "torchvision", "smollm2": "gguf"}
    have = [name for name, module in extras.items() if importlib.util.find_spec(module)]
    return [
        f"clearbench {version('clearbench')}, Python {platform.python_version()}",
        f"torch {torch.__version__}, transformers {version('transformers')}",
        f"accelerator: {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none'}",
        f"{os.cpu_count()} cores, {free:.0f} GB free here",
        f"extras installed: {', '.join(have) or 'none'}",
    ]
