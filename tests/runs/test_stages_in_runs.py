"""Edits, guards and methods of several stages as jobs: what they leave is found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from clearbench.batches.items import item
from clearbench.models.base import Model
from clearbench.runs.stage import read_outcome

RUNS = [
    {"method": "sku"},
    {"method": "task_vector", "train": {"lora_rank": 2}},
    {"method": "ssd", "hyperparameters": {"selection": 1.2, "dampening": 0.1}},
    {"method": "eco", "hyperparameters": {"threshold": 0.5, "zeroed": 1.0}},
    {"method": "uld"},
]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    small_recipe: dict[str, Any],
    planner: Callable[..., Any],
) -> Any:
    """All models of a recipe in which people are forgotten one after the other."""
    train = {"steps": 2, "batch_size": 2, "parts": ["language"]}
    runs = [
        {"model": "language", "modality": "text"} | run | {"train": train | run.get("train", {})}
        for run in RUNS
    ]
    content = small_recipe | {"runs": runs, "data": small_recipe["data"] | {"requests": [1, 1]}}
    found = planner(content, tmp_path_factory.mktemp("stages"))
    for family in found.planned.families:
        for row in family.unlearned:
            assert found.make(row.model)["status"] == "ok"
    return found


def answers(made: Any, model: Model, row: Any) -> torch.Tensor:
    rows = made.planned.dataset.forgetting(row.forget, row.gone).train_rows("forget", ("text",))
    with torch.no_grad():
        return model.answers(model.batch([item(row) for row in rows])).logits


def weights(model: Model) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.module.parameters()])


@pytest.mark.parametrize("method", ["eco", "uld"])
def test_a_guard_is_a_folder_and_is_put_on_its_original(made: Any, method: str) -> None:
    first, second = (made.row(method, number) for number in (0, 1))
    names = {path.name for path in made.folder(first.model).iterdir()}
    assert names == {"GUARD.txt", "guard-000", "manifest.json", "outcome.json"}
    original = made.row("original").model.load(made.inputs)
    model = first.model.load(made.inputs)
    assert torch.equal(weights(model), weights(original))
    assert not torch.allclose(answers(made, model, first), answers(made, original, first))
    both = second.model.load(made.inputs)
    assert len(both.guards) == 2, "the first request's guard is still there"
    assert not torch.allclose(answers(made, both, first), answers(made, original, first))


@pytest.mark.parametrize("method", ["sku", "task_vector", "ssd"])
def test_what_an_edit_leaves_is_loaded_again(made: Any, method: str) -> None:
    first, second = (made.row(method, number) for number in (0, 1))
    original = weights(made.row("original").model.load(made.inputs))
    ones, twos = (weights(row.model.load(made.inputs)) for row in (first, second))
    assert not torch.equal(original, ones) and not torch.equal(ones, twos)
    cost = read_outcome(made.folder(first.model))["cost"]
    assert cost["backwards"] >= 2 and cost["forwards"] >= 2
    assert not any(made.planned.store.root.glob("*.unfinished"))
