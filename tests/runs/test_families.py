"""What rows of several requests, entries, seeds and runs have to do with each other."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench.data.dataset import Dataset
from clearbench.runs.compare import combined
from clearbench.runs.folders import FREE, _compare
from clearbench.runs.plan import Family, null_bands, plan
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.rows import Cost
from clearbench.runs.schema import Row
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.unlearn import UnlearnStage
from clearbench.testing import tiny_dataset

TRAIN = {"steps": 3, "batch_size": 2, "parts": ["language"]}


def planned(content: dict[str, Any], dataset: Dataset, *tracks: str) -> list[Family]:
    return plan(parse_recipe(content, "test"), dataset, StoredData("data-tiny", "digest", tracks))


@pytest.fixture
def content(small_recipe: dict[str, Any]) -> dict[str, Any]:
    """Two methods that forget two people one after another, and two golds after each."""
    runs = [
        {"method": name, "model": "language", "modality": "text", "train": TRAIN}
        for name in ("npo", "gradient_ascent")
    ]
    models = {"language": small_recipe["models"]["language"] | {"golds": 2}}
    data = {"people": 8, "forget": 2, "requests": [1, 1]}
    return small_recipe | {"models": models, "runs": runs, "data": data}


def test_each_method_goes_on_from_its_own_model(content: dict[str, Any]) -> None:
    first, second = planned(content, tiny_dataset().for_kind("language"), "text")
    for early, late in zip(first.unlearned, second.unlearned, strict=True):
        assert isinstance(late.model, UnlearnStage) and late.method == early.method
        assert late.model.start == early.model
    starts = [row.model.start for row in second.unlearned if isinstance(row.model, UnlearnStage)]
    assert len({start.key for start in starts}) == 2


def test_golds_of_each_request_are_a_band_of_their_own(content: dict[str, Any]) -> None:
    """Golds that were taught other people are no golds of one another."""
    families = planned(content, tiny_dataset().for_kind("language"), "text")
    bands = [*null_bands(families, parse_recipe(content, "test").evaluation)]
    assert [band.golds for band in bands] == [family.golds for family in families]
    assert [len(band.golds) for band in bands] == [2, 2]


@pytest.mark.parametrize(
    ("eligible", "controls", "of_original", "of_others"),
    [
        ("all", [], [], []),
        ("known", [], [], []),
        ("known_by_sight", [], ["blank"], []),
        ("known", ["shuffled"], ["shuffled"], ["shuffled"]),
        ("known_by_sight", ["shuffled"], ["shuffled", "blank"], ["shuffled"]),
        ("known_by_sight", ["blank"], ["blank"], ["blank"]),
    ],
)
def test_controls_are_measured_where_something_reads_them(
    eligible: str, controls: list[str], of_original: list[str], of_others: list[str]
) -> None:
    """Only what the original knows by sight is told by its answers to blank images."""
    content = {
        "name": "gated",
        "models": {"vision-language": {"teach": {"steps": 1}}},
        "data": {"people": 8, "forget": 2},
        "evaluation": {"eligible": eligible, "controls": controls},
        "runs": [{"method": "npo", "modality": "both", "train": {"steps": 3}}],
    }
    (family,) = planned(content, tiny_dataset(), "text", "image")
    assert [*family.original.measured.controls] == of_original
    for row in (*family.golds, *family.unlearned):
        assert [*row.measured.controls] == of_others


def row(id: str, seed: int, method: str, gold: str) -> Row:
    fields = {
        "id": id, "method": method, "model": "language", "modality": "text", "share": 0.1,
        "seed": seed, "variant": {}, "hyperparameters": {}, "training": {"steps": 3}, "gold": gold,
        "protocol": "clear", "status": "ok", "reason": "", "scores": {},
        "cost": {"seconds": float(seed), "trainable_parameters": 0},
    }  # fmt: skip
    return Row.model_validate(fields)


def test_golds_that_nothing_is_compared_with_are_in_no_mean() -> None:
    rows = [
        made
        for seed in (0, 1)
        for made in (
            row(f"g{seed}", seed, "gold", f"g{seed}"),
            row(f"g{seed + 1000}", seed + 1000, "gold", f"g{seed}"),
            row(f"m{seed}", seed, "npo", f"g{seed}"),
        )
    ]
    found = {each.id: (each.rows, each.seeds) for each in combined(rows)}
    assert found == {"g0": (("g0", "g1"), (0, 1)), "m0": (("m0", "m1"), (0, 1))}
    costs = {each.id: each.cost.items() for each in combined(rows)}
    assert costs["m0"] == {"seconds": 0.5, "trainable_parameters": 0}


def test_a_cost_of_nothing_was_measured() -> None:
    cost = Cost(trainable_parameters=0, backwards=0, forwards=3)
    assert cost.items() == {"trainable_parameters": 0, "backwards": 0, "forwards": 3}
    assert Cost().items() == {}


@pytest.mark.parametrize(
    "key", ["curve", "seed", "scores", "reason", "hyperparameters", "verdict", "training"]
)
def test_two_runs_are_the_same_in_all_but_cost_environment_and_stages(key: str) -> None:
    ours: dict[str, Any] = {"rows": [{key: [{"step": 1}], **dict.fromkeys(FREE, 1)}]}
    other: dict[str, Any] = {"rows": [{key: [{"step": 2}], **dict.fromkeys(FREE, 2)}]}
    problems: list[str] = []
    _compare(ours, other, "", problems)
    assert problems == [f".rows[0].{key}[0].step: 1 and 2"]
