"""Edits, guards and methods of several stages as jobs: what they leave is found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench.batches.items import item
from clearbench.models.base import Model
from clearbench.runs import work
from clearbench.runs.plan import Family, Job
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import planned
from clearbench.storage import read_json

RUNS = [
    {"method": "sku"},
    {"method": "task_vector", "train": {"lora_rank": 2}},
    {"method": "ssd", "hyperparameters": {"selection": 1.2, "dampening": 0.1}},
    {"method": "eco", "hyperparameters": {"threshold": 0.5, "zeroed": 1.0}},
]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, small_recipe: dict[str, Any]
) -> tuple[Path, list[Family]]:
    """All models of a recipe in which people are forgotten one after the other."""
    train = {"steps": 2, "batch_size": 2, "parts": ["language"]}
    runs = [
        {"model": "language", "modality": "text"} | each | {"train": train | each.get("train", {})}
        for each in RUNS
    ]
    content = small_recipe | {"runs": runs, "data": small_recipe["data"] | {"requests": [1, 1]}}
    out = tmp_path_factory.mktemp("stages")
    _, families = planned(parse_recipe(content, "test"), out)
    root = out / "stages"
    for family in families:
        for job in (family.original, *family.unlearned):
            assert work.make_model(root, job, lambda *_: None) == "ok"
    return root, families


def job(families: list[Family], number: int, method: str) -> Job:
    return next(each for each in families[number].unlearned if each.method == method)


def answers(model: Model, root: Path, each: Job) -> torch.Tensor:
    rows = work.job_dataset(root, each).train_rows("forget", ("text",))
    with torch.no_grad():
        return model.answers(model.batch([item(row) for row in rows])).logits


def weights(model: Model) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.module.parameters()])


def test_a_guard_is_a_small_folder_and_stands_on_its_original(
    made: tuple[Path, list[Family]],
) -> None:
    root, families = made
    first, second = (job(families, number, "eco") for number in (0, 1))
    names = {path.name for path in (root / first.stage).iterdir()}
    assert names == {"guard-000", "manifest.json", "outcome.json"}
    original = work.stage_model(root, families[0].original)
    model = work.stage_model(root, first)
    assert torch.equal(weights(model), weights(original))
    assert not torch.allclose(answers(model, root, first), answers(original, root, first))
    both = work.stage_model(root, second)
    assert len(both.guards) == 2, "the first request's guard still stands"
    assert not torch.allclose(answers(both, root, first), answers(original, root, first))


@pytest.mark.parametrize("method", ["sku", "task_vector", "ssd"])
def test_what_an_edit_leaves_is_loaded_again(made: tuple[Path, list[Family]], method: str) -> None:
    root, families = made
    first, second = (job(families, number, method) for number in (0, 1))
    original = weights(work.stage_model(root, families[0].original))
    ones, twos = (weights(work.stage_model(root, each)) for each in (first, second))
    assert not torch.equal(original, ones) and not torch.equal(ones, twos)
    cost = read_json(root / first.stage / work.OUTCOME)["cost"]
    assert cost["backwards"] >= 2 and cost["forwards"] >= 2
    assert not any(root.glob("*.checkpoints"))
