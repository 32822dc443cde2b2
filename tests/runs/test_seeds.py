"""A recipe with several seeds: combined rows, golds against golds, metrics by rank."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from scipy import stats

from clearbench.errors import RecipeError
from clearbench.runs.compare import combined, ranks
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.schema import Row

KEY = "forget.text.probability"


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory,
    clearbench: Callable[..., Any],
    small_recipe: dict[str, Any],
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("seeds")
    content = small_recipe | {"seeds": [0, 1, 2]}
    content["data"] = {"people": 7, "strangers": 1, "forget": 5}
    content["evaluation"] = {"limit": 10, "max_new_tokens": 2, "splits": ["forget", "retain"]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    done = clearbench("run", folder / "recipe.yaml", "--out", folder / "out", "--workers", 1)
    assert "mean of 3 seeds" in done.stdout
    assert "Seeds" in (folder / "out" / "report.html").read_text()
    return dict(json.loads((folder / "out" / "results.json").read_text()))


def test_every_seed_has_its_own_original_and_gold(results: dict[str, Any]) -> None:
    rows = results["rows"]
    assert [(row["method"], row["seed"]) for row in rows] == [
        (method, seed) for seed in (0, 1, 2) for method in ("original", "gold", "npo")
    ]
    assert len({row["id"] for row in rows}) == 9
    golds = {row["id"]: row["scores"][KEY]["value"] for row in rows if row["method"] == "gold"}
    assert len(set(golds.values())) == 3, "training differs"
    for row in rows:
        assert row["scores"][KEY]["gold"] == golds[row["gold"]]
        assert row["scores"][KEY]["clusters"] == 5, "the people are the same"


def test_a_combined_row_by_hand(results: dict[str, Any]) -> None:
    rows = [row for row in results["rows"] if row["method"] == "npo"]
    (row,) = (row for row in results["combined"] if row["method"] == "npo")
    assert row["seeds"] == [0, 1, 2] and row["rows"] == [each["id"] for each in rows]
    found, each = row["scores"][KEY], [row["scores"][KEY] for row in rows]
    mean = sum(one["value"] for one in each) / 3
    spread = math.sqrt(sum((one["value"] - mean) ** 2 for one in each) / 2)
    people = sum(max(o["value"] - o["low"], o["high"] - o["value"]) for o in each) / 3
    reach = math.hypot(stats.t.ppf(0.975, 2) * spread / math.sqrt(3), people)
    assert (found["value"], found["spread"]) == pytest.approx((mean, spread))
    assert found["low"] == pytest.approx(max(0.0, mean - reach))
    assert found["high"] == pytest.approx(min(1.0, mean + reach))
    assert found["gold"] == pytest.approx(sum(one["gold"] for one in each) / 3)
    assert row["words"] == [each["verdict"]["word"] for each in rows]
    rests_on = row["verdict"]["rests_on"]
    assert rests_on["seeds"] == 3
    assert rests_on["attacks"] == [] and rests_on["not_run"][0] == "membership", "no holdout"
    kinds = [
        {(f["key"], f["kind"]): f["run"] for f in each["verdict"]["findings"] if f["rows"]}
        for each in (row, *rows)
    ]
    key = next(key for key in kinds[0] if key[1] == "kept")
    assert kinds[0][key] == pytest.approx(sum(kind[key] for kind in kinds[1:]) / 3)


def test_the_golds_of_all_seeds_make_the_null_band(results: dict[str, Any]) -> None:
    golds = [row for row in results["rows"] if row["method"] == "gold"]
    (band,) = results["null_bands"]
    assert band["golds"] == [row["id"] for row in golds]
    values = [row["scores"][KEY]["value"] for row in golds]
    found = band["bands"][KEY]
    assert (found["low"], found["high"], found["pairs"]) == (min(values), max(values), 6)
    assert found["gap"] == pytest.approx(max(values) - min(values))


def made(seed: int, status: str = "ok", **about: Any) -> Row:
    fields = {
        "id": f"m-{seed}", "method": "npo", "model": "language", "modality": "text", "share": 0.1,
        "seed": seed, "variant": {}, "hyperparameters": {}, "training": {"steps": 3}, "gold": "g",
        "protocol": "clear", "status": status, "reason": "" if status == "ok" else "NaN",
        "scores": {}, "cost": {"seconds": float(seed)},
    }  # fmt: skip
    return Row.model_validate(fields | about)


def test_a_setting_of_which_one_seed_diverged_has_no_mean() -> None:
    (row,) = combined([made(0), made(1, "diverged"), made(2)])
    assert (row.status, row.reason, row.scores) == ("diverged", "seed 1: NaN", {})
    assert row.cost.items() == {"seconds": 1.0}
    assert combined([made(0), made(1, hyperparameters={"beta": 2})]) == (), "other settings"
    assert combined([made(0)]) == ()


def score(value: float, direction: str, gold: float = 0.0) -> dict[str, Any]:
    return {"value": value, "n": 9, "clusters": 9, "direction": direction, "gold": gold}


def test_ranks_of_runs_that_were_to_forget_the_track() -> None:
    """Distances to gold 1..5 and utilities 1..5 rank against each other: -1."""
    rows = [
        made(k, scores={KEY: score(k / 5, "gold"), "all.text.model_utility": score(k / 5, "up")})
        for k in range(1, 6)
    ]
    other = made(9, modality="image", scores={KEY: score(0.0, "gold")})
    (found,) = ranks([*rows, other])
    assert (found.model, found.track, found.runs) == ("language", "text", 5)
    assert found.metrics == (KEY, "all.text.model_utility")
    assert found.spearman[0] == pytest.approx([1.0, -1.0])
    assert ranks(rows[:4]) == (), "four runs rank nothing"


@pytest.mark.parametrize(
    ("seeds", "message"), [([1, 1], "twice"), ([0, 1000], "1000 or more apart"), ([-1], "seeds")]
)
def test_seeds_that_cannot_be_told_apart(
    small_recipe: dict[str, Any], seeds: list[int], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(small_recipe | {"seeds": seeds}, "test")
