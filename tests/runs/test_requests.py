"""Forget requests that arrive one after another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clearbench.data.load import load_dataset
from clearbench.errors import RecipeError
from clearbench.runs.cache import WorkerCache
from clearbench.runs.plan import forget_requests
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import plan_run
from clearbench.runs.stage import StageInputs
from clearbench.runs.stages.unlearn import UnlearnStage


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    clearbench: Callable[..., Any],
    small_recipe: dict[str, Any],
) -> Path:
    folder = tmp_path_factory.mktemp("requests")
    content = small_recipe | {"data": small_recipe["data"] | {"requests": [1, 1]}}
    content["evaluation"] = {"limit": 4, "max_new_tokens": 2}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    clearbench("run", folder / "recipe.yaml", "--out", folder / "out", "--workers", 1)
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
    planned = plan_run(recipe, run)
    first, second = planned.families
    (early,), (late,) = first.unlearned, second.unlearned
    assert isinstance(early.model, UnlearnStage) and isinstance(late.model, UnlearnStage)
    assert early.model.start == first.original.model and late.model.start == early.model
    assert first.original.model.key == second.original.model.key, "there is one original"
    assert first.golds[0].model.key != second.golds[0].model.key
    store = planned.store
    assert all(store.holds(row.model.key) for row in planned.rows)
    (gone,), (forgotten,) = late.gone, late.forget
    trained = planned.dataset.forgetting(late.model.forget, late.model.gone)
    assert trained.people("forget") == {forgotten} and gone not in trained.people("retain")
    measured = late.measured.plain
    rows = measured.records(StageInputs(store, WorkerCache(), run))
    people = set(rows.answers[rows.answers["split"] == "forget"]["person"])
    assert people == {gone, forgotten}, "the first person must stay forgotten"
    about = json.loads((store.folder(second.golds[0].model.key) / "manifest.json").read_text())
    assert about["about"]["settings"]["without"] == sorted([gone, forgotten])


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
