"""What the page shows besides numbers, what a stage costs, and whom a recipe asks for."""

from __future__ import annotations

import base64
import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch

from clearbench.data.dataset import Dataset
from clearbench.runs.cost import metered
from clearbench.runs.data_part import data_stage
from clearbench.runs.details import (
    SHOWN_FACES,
    SHOWN_KEPT,
    _people,
    _questions,
    _spread,
    details,
)
from clearbench.runs.plan import Family
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.results import EndedRun, _cost
from clearbench.runs.schema import Wording
from clearbench.testing import tiny_dataset


def test_faces_are_the_persons_own_and_of_the_first_people() -> None:
    data = tiny_dataset()
    shown = [*_people(data, [1, 4])]
    assert [(each.id, each.name) for each in shown] == [("1", "person 1"), ("4", "person 4")]
    for each in shown:
        own = [row for rows in data.training.values() for row in rows if str(row.person) == each.id]
        images = {base64.b64encode(row.image.encoded).decode() for row in own if row.image}
        assert {*each.portraits} <= images and 0 < len(each.portraits) <= 2
    many = [*_people(data, [1] * (SHOWN_FACES + 2))]
    assert [bool(each.portraits) for each in many] == [True] * SHOWN_FACES + [False] * 2


def spoken(data: Dataset) -> dict[str, pd.DataFrame]:
    """Two runs: the first answered every row, the second the first half of each split."""
    lines = [
        {"row": row.id, "split": split, "track": row.track, "task": row.task}
        for split in ("forget", "retain")
        for row in data.evaluation[split]
    ]
    frames = {}
    for name, count in (("all", len(lines)), ("half", len(lines) // 2)):
        frame = pd.DataFrame(lines[:count])
        frame["text"] = [f"{name} says {row}" for row in frame["row"]]
        frames[name] = frame.set_index("row")
    return frames


def test_questions_have_their_own_truth_image_and_answers() -> None:
    data = tiny_dataset()
    said = spoken(data)
    rows = {row.id: (split, row) for split, rows in data.evaluation.items() for row in rows}
    by_question = {(row.question, row.answer): (id, row) for id, (_, row) in rows.items()}
    found = [*_questions(data, said)]
    assert {(each.split, each.track) for each in found} == {
        (split, track) for split in ("forget", "retain") for track in ("text", "image")
    }
    for each in found:
        id, row = by_question[each.question, each.truth]
        assert rows[id][0] == each.split and row.track == each.track
        assert each.name == f"person {row.person}" and each.person == str(row.person)
        image = base64.b64encode(row.image.encoded).decode() if row.image else None
        assert each.image == image
        expected = {name: f"{name} says {id}" for name, f in said.items() if id in f.index}
        assert each.answers == expected


@pytest.mark.parametrize(("rows", "count"), [(100, 6), (3, 6), (6, 6), (1, 2), (0, 2)])
def test_questions_are_spread_over_all(rows: int, count: int) -> None:
    ids = [str(k) for k in range(rows)]
    found = _spread(ids, count)
    assert len({*found}) == len(found) <= count and [*found] == sorted(found, key=int)
    if rows == 100:
        assert len(found) == count and int(found[-1]) >= 80


def test_who_is_shown_as_forgotten_and_as_kept() -> None:
    """Everybody who was forgotten by some request, and the first of the others."""
    data = tiny_dataset()
    families = [SimpleNamespace(original=SimpleNamespace(forget=(f,)), rows=()) for f in (5, 2)]
    rows = cast(list[Family], families)
    found = details(data.forgetting([5]), rows, cast(EndedRun, None), Wording())
    assert [each.id for each in found.people["forget"]] == ["2", "5"]
    kept = [each.id for each in found.people["retain"]]
    assert kept == [str(k) for k in (0, 1, 3, 4, 6, 7)][:SHOWN_KEPT]


def test_cost_is_the_cpu_time_and_the_memory_of_the_block() -> None:
    with metered(torch.device("cpu")):
        np.ones(10)  # what the first use needs is not of the block
    began = time.process_time()
    with metered(torch.device("cpu")) as cost:
        inner = time.process_time()
        held = np.ones(12_000_000)
        time.sleep(0.1)
        least = time.process_time() - inner
    assert least <= cost["seconds"] <= time.process_time() - began
    assert 0.5 * held.nbytes < cost["peak_memory_bytes"] < 3 * held.nbytes


def test_measuring_is_not_counted_as_training() -> None:
    made = {"cost": {"seconds": 3.0, "forwards": 4}}
    found = _cost(made, {"cost": {"seconds": 9.0, "peak_memory_bytes": 1}})
    assert (found.seconds, found.forwards, found.measuring_seconds) == (3.0, 4, 9.0)
    assert found.measuring_peak_memory_bytes == 1 and found.peak_memory_bytes is None


def test_the_people_of_a_recipe_are_asked_for_as_it_says(small_recipe: dict[str, Any]) -> None:
    part = {"source": "builtin", "people": 9, "strangers": 3, "forget": 4, "half": "first"}
    recipe = parse_recipe(small_recipe | {"data": part, "seed": 5}, "test")
    stage = data_stage(recipe.data, recipe.seed)
    assert vars(stage).items() >= (part | {"seed": 5}).items()
    request = stage.request
    asked = (request.source, request.people, request.strangers, request.forget, request.seed)
    assert asked == ("builtin", 9, 3, 4, 5)
