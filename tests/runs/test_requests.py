"""Forget requests that arrive one after another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from clearbench.runs.work import job_dataset, measured_dataset

from clearbench.data.load import load_dataset
from clearbench.errors import RecipeError
from clearbench.runs.plan import forget_requests, plan
from clearbench.runs.recipe import parse_recipe


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    clearbench: Callable[..., Any],
    small_recipe: dict[str, Any],
) -> Path:
    folder = tmp_path_factory.mktemp("requests")
    content = small_recipe | {"data": small_recipe["data"] | {"requests": [1, 1]}}
    content["evaluation"] = {"limit": 60, "max_new_tokens": 2}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    clearbench("run", folder / "recipe.yaml", "--out", folder / "out", "--workers", 2)
    return folder / "out"


def test_each_request_has_its_rows(run: Path) -> None:
    rows = json.loads((run / "results.json").read_text())["rows"]
    assert [(row["method"], row["status"], row["share"]) for row in rows] == [
        ("original", "ok", 0.25),
        ("gold", "ok", 0.25),
        ("npo", "ok", 0.25),
        ("original", "ok", 0.5),
        ("gold", "ok", 0.5),
        ("npo", "ok", 0.5),
    ]
    assert len({row["id"] for row in rows}) == 6
    first, second = rows[2], rows[5]
    assert first["id"].endswith("-request1") and second["id"].endswith("-request2")
    key = "forget.text.probability"
    assert second["scores"][key]["clusters"] == 2 and first["scores"][key]["clusters"] == 1


def test_the_second_starts_where_the_first_ended(run: Path) -> None:
    recipe = parse_recipe(yaml.safe_load((run / "recipe.yaml").read_text()), "test")
    (data,) = (path.name for path in (run / "stages").glob("data-*"))
    first, second = plan(recipe, load_dataset(run / "stages" / data), data)
    (early,), (late,) = first.unlearned, second.unlearned
    assert early.start == first.original and late.start == early
    assert first.original.stage == second.original.stage, "there is one original"
    assert first.golds[0].stage != second.golds[0].stage
    stages = run / "stages"
    assert all((stages / job.stage).is_dir() for job in (*first.jobs, *second.jobs))
    trained, measured = job_dataset(stages, late), measured_dataset(stages, late)
    (gone,), (asked,) = late.gone, late.forget
    assert trained.people("forget") == {asked} and gone not in trained.people("retain")
    assert measured.people("forget") == {gone, asked}, "the first person must stay forgotten"
    about = json.loads((stages / second.golds[0].stage / "manifest.json").read_text())["about"]
    assert sorted([*about["forget"], *about["gone"]]) == sorted([gone, asked])


def test_requests_must_add_up(small_recipe: dict[str, Any]) -> None:
    world = load_dataset("builtin", 2, people=4, strangers=1)
    for requests in ([1], [2, 1]):
        content = small_recipe | {"data": small_recipe["data"] | {"requests": requests}}
        with pytest.raises(RecipeError, match="for 2 to forget"):
            forget_requests(parse_recipe(content, "test"), world)


def test_the_validation_fold_forgets_other_people(small_recipe: dict[str, Any]) -> None:
    world = load_dataset("builtin", 2, people=6, strangers=1)
    found = {}
    for fold in ("reported", "validation"):
        content = small_recipe | {"data": small_recipe["data"] | {"people": 6, "fold": fold}}
        (people,) = forget_requests(parse_recipe(content, "test"), world)
        found[fold] = set(people)
    assert len(found["validation"]) == len(found["reported"]) == 2
    assert not found["validation"] & found["reported"]
