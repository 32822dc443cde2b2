"""What a stage gives to training and measuring: whose rows, which steps, what counts as cost."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from clearbench.data.dataset import Dataset
from clearbench.evaluation.records import Records
from clearbench.models.base import Model
from clearbench.runs.cache import RecentlyUsed, WorkerCache
from clearbench.runs.plan import Family, plan
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.stage import StageInputs, read_outcome
from clearbench.runs.stages.curve import Curve
from clearbench.runs.stages.data import StoredData
from clearbench.runs.stages.measure import MeasureStage
from clearbench.runs.stages.model import CURVE_POINTS, curve_points, training_cost
from clearbench.runs.stages.score import MeasuredModel, ScoreStage, read_evidence
from clearbench.runs.stages.unlearn import Observer, UnlearnStage
from clearbench.runs.store import Store
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.records import records

DATA = StoredData("data-tiny", "digest", ("text",))


@pytest.fixture
def families(small_recipe: dict[str, Any]) -> list[Family]:
    content = copy.deepcopy(small_recipe)
    content["data"] = {"people": 8, "forget": 2, "requests": [1, 1]}
    return plan(parse_recipe(content, "test"), tiny_dataset().for_kind("language"), DATA)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageInputs:
    text = tiny_dataset().for_kind("language")
    monkeypatch.setattr(StoredData, "dataset", lambda *_: text)
    return StageInputs(Store(tmp_path), WorkerCache(), tmp_path / "scratch")


class Watching(Observer):
    """Says that it took a minute, and wants the second step."""

    seconds = 60.0

    def wants(self, step: int) -> bool:
        return step == 2


def test_people_of_an_earlier_request_are_in_no_split(
    families: list[Family], inputs: StageInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not trained on again; what measures on the way costs nothing."""
    given: dict[str, Any] = {}

    def unlearn(model: Model, data: Dataset, chosen: Any, tracks: Any, *_: Any, **__: Any) -> Any:
        given.update(data=data, method=chosen.name, tracks=tracks)
        return [{"loss": 1.0}] * 3

    monkeypatch.setattr("clearbench.training.unlearn.unlearn", unlearn)
    monkeypatch.setattr(UnlearnStage, "start_model", lambda *_: tiny_model("language"))
    monkeypatch.setattr(UnlearnStage, "observer", lambda *_: Watching())
    (row,) = families[1].unlearned
    assert row.model.make(tmp_path, inputs) == "ok"
    data: Dataset = given["data"]
    people = {split: data.people(cast(Any, split)) for split in ("forget", "retain")}
    assert people == {"forget": {1}, "retain": {*range(2, 8)}}
    assert (given["method"], given["tracks"]) == ("npo", ("text",))
    cost = read_outcome(tmp_path)["cost"]
    assert -60 < cost["seconds"] < -30, "the minute was taken off"


def test_people_forgotten_so_far_are_the_forget_split_of_a_measurement(
    families: list[Family], inputs: StageInputs
) -> None:
    for family, expected in zip(families, ({0}, {0, 1}), strict=True):
        for row in family.rows:
            measured = row.measured.plain.rows(inputs).evaluation
            assert {each.person for each in measured["forget"]} == expected
            assert not {each.person for each in measured["retain"]} & expected


def test_a_curve_keeps_the_first_the_last_and_every_measured_step() -> None:
    history = [{"loss": float(step)} for step in range(10 * CURVE_POINTS + 5)]
    found = [int(point["step"]) for point in curve_points(history, {13})]
    assert found[:4] == [1, 11, 13, 21] and found[-1] == len(history)
    assert curve_points(history, set())[1] == {"step": 11, "loss": 10.0}
    assert [point["step"] for point in curve_points(history[:3], set())] == [1, 2, 3]


def test_cost_counts_parameters_and_passes() -> None:
    model = tiny_model("language")
    model.train_only(("language",))
    model.forwards, model.backwards = 7, 3
    learned = sum(weight.numel() for weight in model.trainable().values())
    assert training_cost(model) == {
        "trainable_parameters": learned, "forwards": 7, "backwards": 3, "dtype": "float32",
    }  # fmt: skip
    assert training_cost(model, trains_weights=False)["trainable_parameters"] == 0


def test_a_curve_measures_its_sample_after_the_wanted_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Dataset] = []

    def evaluate(model: Model, data: Dataset, settings: Any) -> Records:
        model.forwards += 5
        read.append(data)
        return records([{"p": {"answer": [0.5]}}])

    monkeypatch.setattr("clearbench.evaluation.engine.evaluate", evaluate)
    about = {"limit": 1, "splits": ["forget"], "protocol": "clear", "max_new_tokens": 2}
    data, model = tiny_dataset().for_kind("language"), tiny_model("language")
    every, listed = Curve(data, about | {"steps": 2}), Curve(data, about | {"steps": [0, 3]})
    assert [step for step in range(5) if every.wants(step)] == [0, 2, 4]
    assert [step for step in range(5) if listed.wants(step)] == [0, 3]
    assert every.measure(model, 1) == {} and not read
    assert every.measure(model, 2)["forget.text.probability"] == pytest.approx(0.5)
    assert model.forwards == 0, "measuring is no cost of the method"
    tasks = [row.task for row in read[0].evaluation["forget"]]
    assert tasks and len(tasks) == len({*tasks}), "one row per task"


def test_the_least_recently_used_value_is_dropped() -> None:
    cache: RecentlyUsed[int] = RecentlyUsed(2)
    made: list[str] = []

    def value(key: str) -> int:
        return cache.get(key, lambda: made.append(key) or len(made))

    assert [value(key) for key in ("a", "b", "a", "c", "a", "b")] == [1, 2, 1, 3, 1, 4]
    assert made == ["a", "b", "c", "b"]


def test_rows_that_count_are_those_of_their_own_gate_and_original(
    families: list[Family], inputs: StageInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stages of one worker share records only where the same rows count."""
    first, second = families
    (row,) = first.unlearned
    known = [0.9, 0.1]
    rows = {
        row.measured.plain.key: [0.2, 0.2],
        first.original.measured.plain.key: known,
        second.original.measured.plain.key: known[::-1],
    }

    def read(stage: MeasureStage, _: StageInputs) -> Records:
        return records([
            {"p": {"answer": [p], "perturbed_0": [0.4], "perturbed_1": [0.3]}}
            for p in rows[stage.key]
        ])  # fmt: skip

    monkeypatch.setattr(MeasureStage, "records", read)

    def counted(original: Any, gate: str) -> list[str]:
        settings = row.score.evaluation.model_copy(update={"eligible": gate})
        stage = copy.copy(row.score)
        object.__setattr__(stage, "original", original)
        object.__setattr__(stage, "evaluation", settings)
        frame: pd.DataFrame = stage.counted(row.measured, inputs, None).answers
        return sorted({str(name) for name in frame["row"]})

    assert counted(first.original.measured, "all") == ["r0", "r1"]
    assert counted(first.original.measured, "known") == ["r0"]
    assert counted(second.original.measured, "known") == ["r1"]


def test_rows_known_from_a_blank_image_do_not_count(
    families: list[Family], inputs: StageInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 0 is known by looking, row 1 without; under `known` both count."""
    (row,) = families[0].unlearned
    plain = families[0].original.measured.plain
    blank = replace(plain, control="blank")
    original = MeasuredModel(plain, {"blank": blank})

    def read(stage: MeasureStage, _: StageInputs) -> Records:
        known = [0.9, 0.9] if stage == plain else [0.1, 0.9] if stage == blank else [0.2, 0.2]
        about = {"track": "image", "task": "name"}
        return records([{"p": {"answer": [p], "perturbed_0": [0.4]}} | about for p in known])

    monkeypatch.setattr(MeasureStage, "records", read)
    found = {}
    for gate in ("known", "known_by_sight"):
        settings = row.score.evaluation.model_copy(update={"eligible": gate})
        stage = replace(row.score, original=original, evaluation=settings)
        frame = stage.counted(row.measured, inputs, None).answers
        found[gate] = sorted({str(name) for name in frame["row"]})
    assert found == {"known": ["r0", "r1"], "known_by_sight": ["r0"]}


@pytest.fixture
def scored(families: list[Family], monkeypatch: pytest.MonkeyPatch) -> ScoreStage:
    """A run that says .5 where gold says .2 and the original .9."""
    (row,) = families[0].unlearned
    likely = {
        row.measured.plain.key: 0.5,
        families[0].golds[0].measured.plain.key: 0.2,
        families[0].original.measured.plain.key: 0.9,
    }

    def read(stage: MeasureStage, _: StageInputs) -> Records:
        return records([{"p": {"answer": [likely[stage.key]]}}])

    monkeypatch.setattr(MeasureStage, "records", read)
    return row.score


def test_a_run_is_scored_against_its_gold_and_its_original(
    scored: ScoreStage, inputs: StageInputs
) -> None:
    scores, *_ = scored._scores(inputs, None)
    found = scores["forget.text.probability"]
    values = (found.value, found.gold, found.original)
    assert values == (pytest.approx(0.5), pytest.approx(0.2), pytest.approx(0.9))


def test_the_evidence_holds_each_model_in_its_own_column(
    scored: ScoreStage, inputs: StageInputs, tmp_path: Path
) -> None:
    assert scored.make(tmp_path, inputs) == "ok"
    table = read_evidence(tmp_path).set_index("key")
    found = table.loc["forget.text.likelihood", ["run", "gold", "original"]].tolist()
    assert found == pytest.approx([0.5, 0.2, 0.9])


def test_an_edit_of_weights_has_weights(
    small_recipe: dict[str, Any],
    inputs: StageInputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = copy.deepcopy(small_recipe)
    content["data"] = {"people": 8, "forget": 2}
    content["runs"][0] |= {"method": "ssd"}
    (family,) = plan(parse_recipe(content, "test"), tiny_dataset().for_kind("language"), DATA)
    monkeypatch.setattr("clearbench.training.unlearn.unlearn", lambda *_, **__: [])
    monkeypatch.setattr(UnlearnStage, "start_model", lambda *_: tiny_model("language"))
    assert family.unlearned[0].model.make(tmp_path, inputs) == "ok"
    assert read_outcome(tmp_path)["cost"]["trainable_parameters"] > 0
