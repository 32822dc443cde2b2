"""A recipe's entry with a grid stands for a run of every combination."""

from __future__ import annotations

import math
from typing import Any

import pytest

from clearbench.errors import RecipeError
from clearbench.runs.draw import draws
from clearbench.runs.grid import expand
from clearbench.runs.recipe import dump_recipe, parse_recipe

NPO: dict[str, Any] = {
    "method": "npo",
    "hyperparameters": {"beta": 0.2},
    "train": {"steps": 3},
    "grid": {"train.learning_rate": [1e-4, 1e-3], "hyperparameters.retain_weight": [1.0, 2.0]},
}


def recipe(*entries: object) -> dict[str, Any]:
    models = {"vision-language": {"teach": {"steps": 1}}}
    return {"name": "tried", "models": models, "runs": list(entries)}


def test_every_combination_once_and_the_last_place_fastest() -> None:
    found = [(each["train"], each["hyperparameters"]) for each in expand(NPO)]
    assert [(train["learning_rate"], own["retain_weight"]) for train, own in found] == [
        (1e-4, 1.0),
        (1e-4, 2.0),
        (1e-3, 1.0),
        (1e-3, 2.0),
    ]
    assert all(train["steps"] == 3 and own["beta"] == 0.2 for train, own in found)
    assert NPO["train"] == {"steps": 3}, "the entry itself stays as it was"


def test_the_resolved_recipe_is_a_recipe_without_grids() -> None:
    made = parse_recipe(recipe(NPO, {"method": "idk", "train": {"steps": 3}}), "here")
    assert [each.method for each in made.runs] == ["npo"] * 4 + ["idk"]
    assert "grid" not in dump_recipe(made)
    plain = recipe(*expand(NPO), {"method": "idk", "train": {"steps": 3}})
    assert parse_recipe(plain, "here").identity == made.identity


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ([1e-4], "a grid is a mapping"),
        ({"method": ["npo", "dpo"]}, "cannot vary 'method'"),
        ({"train.until.text": [0.5]}, "cannot vary 'train.until.text'"),
        ({"train.learning_rate": 1e-4}, "list of the values to try"),
        ({"train.learning_rate": []}, "list of the values to try"),
        ({"train.rate": [1e-4]}, "unknown key"),
        ({"hyperparameters.betta": [1.0]}, "betta"),
    ],
)
def test_a_grid_that_varies_nothing_is_refused(grid: object, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_recipe(recipe({"method": "npo", "train": {"steps": 3}, "grid": grid}), "here")


PRIOR = {
    "train.learning_rate": {"low": 1e-4, "high": 1e-2},
    "hyperparameters.retain_weight": {"low": 0.1, "high": 100},
    "train.decay": ["linear", "cosine"],
}


def drawn(method: str = "npo", settings: int = 8) -> list[dict]:
    draw = {"settings": settings, "from": PRIOR}
    return [*expand({"method": method, "modality": "text", "draw": draw})]


def test_a_draw_reaches_every_part_of_a_range_once() -> None:
    """Eight parts of two decades: a quarter of a decade each."""
    runs = drawn()
    rates = sorted(run["train"]["learning_rate"] for run in runs)
    parts = [int(8 * math.log(rate / 1e-4) / math.log(100)) for rate in rates]
    assert len(runs) == 8 and len({*parts}) >= 7, "rounding to two digits may cross an edge"
    weights = [run["hyperparameters"]["retain_weight"] for run in runs]
    assert min(weights) < 0.3 and max(weights) > 30
    assert sorted(run["train"]["decay"] for run in runs) == ["cosine"] * 4 + ["linear"] * 4
    order = [weights.index(weight) for weight in sorted(weights)]
    assert order != [*range(8)], "places are drawn independently of each other"


def test_a_draw_is_a_function_of_method_and_modality() -> None:
    assert drawn() == drawn() and drawn("npo") != drawn("idk")


RANGES = {name: {"low": 1e-4, "high": 1e-2} for name in ("train.a", "train.b", "train.c")}


def order(values: list[float]) -> list[int]:
    """The places of the values, the smallest first."""
    return sorted(range(len(values)), key=values.__getitem__)


def test_places_of_one_prior_do_not_rise_together() -> None:
    """Else of eight settings all that are fast would also be long."""
    found = draws({"method": "npo"}, RANGES, 8)
    columns = {place: [setting[place] for setting in found] for place in RANGES}
    assert len({tuple(values) for values in columns.values()}) == 3
    assert len({tuple(order(values)) for values in columns.values()}) == 3
    (only,) = ({place: prior} for place, prior in RANGES.items() if place == "train.b")
    alone = [setting["train.b"] for setting in draws({"method": "npo"}, only, 8)]
    assert alone == columns["train.b"], "a place that is added changes no other"


@pytest.mark.parametrize(
    ("about", "same"),
    [
        ({"method": "idk"}, False),
        ({"model": "language"}, False),
        ({"modality": "image"}, False),
        ({"train": {"steps": 9}}, True),
        ({"hyperparameters": {"beta": 0.5}}, True),
    ],
)
def test_a_draw_is_one_of_its_method_model_and_modality(about: dict[str, Any], same: bool) -> None:
    entry = {"method": "npo", "model": "vision-language", "modality": "text"}
    ours, theirs = draws(entry, RANGES, 8), draws(entry | about, RANGES, 8)
    assert all((a == b) == same for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        ([], "a draw is such as"),
        ({"settings": 3}, "a draw is such as"),
        ({"settings": 0, "from": {}}, "number of settings"),
        ({"settings": 2, "from": {"learning_rate": [1]}}, "cannot vary 'learning_rate'"),
        ({"settings": 2, "from": {"train.steps": {"low": 0, "high": 1}}}, "0 < A < B"),
        ({"settings": 2, "from": {"train.steps": {"low": 2, "high": 1}}}, "0 < A < B"),
        ({"settings": 2, "from": {"train.steps": []}}, "or a list"),
    ],
)
def test_a_draw_that_is_none_is_refused(draw: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        [*expand({"method": "npo", "draw": draw})]


def test_a_grid_and_a_draw_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="not both"):
        [*expand({"method": "npo", "grid": {}, "draw": {}})]
