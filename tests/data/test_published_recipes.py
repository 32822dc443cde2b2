"""Recipes of published tables, run on folders in the hub's layout with small models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clearbench.benchmark import run_recipe
from clearbench.runs.recipe import dump_recipe, load_recipe
from clearbench.runs.schema import read_results
from clearbench.testing import tiny_model

#: Recipe, kind of model, and the methods that are run.
TABLES = {
    "clear-text": ("language", "kl_minimization"),
    "clear-multimodal": ("vision-language", "gradient_difference"),
    "clear-qwen2-vl-2b": ("vision-language", "npo"),
    "clear-l1": ("vision-language", "gradient_ascent"),
    "tofu-forget01": ("language", "npo"),
    "tofu-forget05": ("language", "rmu"),
    "tofu-forget10": ("language", "simnpo"),
}

#: Recipes that every run of the tests tries; the others belong to the slow set.
QUICK = ("clear-qwen2-vl-2b", "tofu-forget10")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TABLES]
)
def test_a_published_table_runs_on_the_hubs_layout(
    name: str, clear_folder: Path, tofu_folder: Path, tmp_path: Path
) -> None:
    """Every setting but the number of steps and rows, and the depth of a layer, is the recipe's."""
    kind, method = TABLES[name]
    model = tiny_model(kind)
    model.save(tmp_path / "model")
    recipe = load_recipe(name)
    content: dict[str, Any] = recipe.model_dump(mode="json")
    folder = tofu_folder if recipe.data.source == "locuslab/TOFU" else clear_folder
    content["data"]["source"] = str(folder)
    part = content["models"][kind]
    part["source"] = str(tmp_path / "model")
    runs = [run for run in content["runs"] if run["method"] == method]
    for settings in (part["teach"], *(run["train"] for run in runs)):
        settings["steps"], settings["batch_size"] = 1, min(2, settings["batch_size"])
    for run in runs:
        run["hyperparameters"].pop("layer", None)
    content |= {"runs": runs}
    content["evaluation"] |= {"limit": 2, "max_new_tokens": 2}
    del content["evaluation"]["verdict"]
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(type(recipe).model_validate(content)), encoding="utf-8")
    run_recipe(path, tmp_path / "run")
    rows = read_results(tmp_path / "run").rows
    assert {row.status for row in rows} == {"ok"}
    assert [row.method for row in rows if row.method == method]
    assert all(row.scores for row in rows)
