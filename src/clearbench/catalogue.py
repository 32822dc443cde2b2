"""What `clearbench list` says; everything comes from the classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clearbench.errors import RecipeError, did_you_mean

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

    rows = [
        {
            "name": name,
            "needs": list(cls.needs),
            "directions": cls.directions,
            "ideal": _ideal(cls.direction("forget")),
            "range": list(cls.range),
            "version": cls.version,
            "erratum": cls.erratum,
            "paper": cls.paper,
            "shows": cls.shows,
        }
        for name, cls in metrics().items()
    ]
    return rows + _aggregates()


def _aggregates() -> Rows:
    from clearbench.evaluation.aggregates import AGGREGATES

    return [
        {
            "name": each.name,
            "needs": ["the scores that a protocol names"],
            "directions": {"*": each.direction},
            "ideal": _ideal(each.direction),
            "range": [0.0, 1.0],
            "version": max(chosen.version for chosen, _ in each.versions()),
            "erratum": "",
            "paper": each.paper,
            "shows": each.shows,
            "parts": {
                f"{chosen.name} {key}": list(parts)
                for chosen, keys in each.versions()
                for key, parts in keys.items()
            },
        }
        for each in AGGREGATES
    ]


def _ideal(direction: str) -> str:
    return "gold's value" if direction == "gold" else "as gold or better"


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
    from clearbench.data.sources.base import sources

    return [{"name": source.name, "what": source.shows} for source in sources()]


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
