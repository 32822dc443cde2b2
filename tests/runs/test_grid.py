"""A recipe's entry with a grid stands for a run of every combination."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench.errors import RecipeError
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
