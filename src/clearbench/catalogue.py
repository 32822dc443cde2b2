"""Builds the rows of `clearbench list` from the registered classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clearbench.errors import RecipeError, did_you_mean

if TYPE_CHECKING:  # a list of recipes needs no metrics
    from clearbench.evaluation.measure import Measure

Rows = list[dict[str, Any]]


def _methods() -> Rows:
    from clearbench.methods.base import methods

    return [
        {
            "name": name,
            "does": (cls.__doc__ or "").strip().partition("\n")[0],
            "paper": cls.paper.row(),
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

    return [_measure(name, cls) for name, cls in metrics().items()] + _aggregates()


def _attacks() -> Rows:
    from clearbench.attacks.base import attacks

    return [
        _measure(name, cls) | {"needs": list(cls.needs), "reads": list(cls.reads)}
        for name, cls in attacks().items()
    ]


def _measure(name: str, cls: type[Measure]) -> dict[str, Any]:
    """Describes a metric or an attack, with the variants that it declares."""
    default = cls()
    return {
        "name": name,
        "title": cls.title,
        "group": cls.group,
        "needs": list(cls.needs),
        "parameters": default.model_dump(mode="json", exclude={"key"}),
        "variants": [made.score_key for made in cls.configured()],
        "directions": dict(cls.directions),
        "ideal": _ideal(cls.direction("forget")),
        "range": list(cls.range),
        "version": cls.version,
        "erratum": cls.erratum,
        "paper": cls.paper,
        "shows": cls.shows,
        "cases": {value: case.shows for value, case in cls.cases.items()},
    }


def _aggregates() -> Rows:
    from clearbench.evaluation.aggregates import AGGREGATES

    return [
        {
            "name": aggregate.name,
            "title": aggregate.title,
            "group": "Aggregates",
            "needs": ["the scores that a protocol names"],
            "directions": {"*": aggregate.direction},
            "ideal": _ideal(aggregate.direction),
            "range": [0.0, 1.0],
            "version": max(chosen.version for chosen, _ in aggregate.versions()),
            "erratum": "",
            "paper": aggregate.paper,
            "shows": aggregate.shows,
            "parts": {
                f"{chosen.name} {key}": list(parts)
                for chosen, keys in aggregate.versions()
                for key, parts in keys.items()
            },
        }
        for aggregate in AGGREGATES
    ]


def _ideal(direction: str) -> str:
    return "gold's value" if direction == "gold" else "as gold or better"


def _protocols() -> Rows:
    from clearbench.evaluation.errata import carried
    from clearbench.evaluation.protocols import protocols

    return [
        {
            "name": chosen.name,
            "version": chosen.version,
            "shows": chosen.shows,
            "defects": [f"{e.id}: {e.does}" for e in carried(chosen.name).values()],
            "required": list(chosen.required),
            "aggregates": sorted(chosen.parts),
        }
        for chosen in protocols().values()
    ]


def _recipes() -> Rows:
    from clearbench.runs.grid import expand
    from clearbench.runs.recipe_file import builtin_recipes, read_recipe

    rows = []
    for name in builtin_recipes():
        recipe = read_recipe(name)
        runs = [run for entry in recipe.get("runs", ()) for run in expand(entry)]
        asked = (run.get("modality") for run in runs)
        count = sum(len(each) if isinstance(each, list) else 1 for each in asked)
        about = {"title": recipe.get("title", ""), "models": list(recipe["models"]), "runs": count}
        rows.append({"name": name, **about})
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
    "attacks": _attacks,
    "protocols": _protocols,
    "datasets": _datasets,
    "models": _models,
    "recipes": _recipes,
}


def catalogue(what: str) -> Rows:
    """Returns the rows of one list."""
    if what not in _LISTS:
        raise RecipeError(f"no list of '{what}'", "list", did_you_mean(what, _LISTS))
    return _LISTS[what]()
