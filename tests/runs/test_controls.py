"""Controls without the right image, and which rows count, from the recipe to the scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearbench import evaluate, score
from clearbench.builtin.tiny import tiny_model
from clearbench.cli import scores
from clearbench.errors import RecipeError
from clearbench.evaluation.controls import blank, images_only, shuffled, under_control
from clearbench.evaluation.engine import evaluate as measured
from clearbench.evaluation.metrics.false_recognition import KNOWN
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.statistics import eligible
from clearbench.report.html import render
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.schema import Details, Results
from clearbench.runs.stages.score import read_scores
from clearbench.testing import tiny_dataset
from clearbench.testing.records import records
from clearbench.testing.world import taught

TEACH = {"steps": 2, "batch_size": 2}
GATED = {"limit": 3, "max_new_tokens": 1, "controls": ["blank", "shuffled"],
         "eligible": "known_by_sight"}  # fmt: skip


def choice(true: float, **about: Any) -> dict[str, Any]:
    """A row whose wrong answers have .3 and .2."""
    return {"p": {"answer": [true], "perturbed_0": [0.3], "perturbed_1": [0.2]}, **about}


IMAGE = {"track": "image", "task": "name"}


def test_images_are_exchanged_in_the_records() -> None:
    """Text stays, image rows are the control's, side effects are left out."""
    plain = records([choice(0.5), choice(0.5, **IMAGE), choice(0.9, split="side", task="x")])
    other = records([choice(0.1), choice(0.25, **IMAGE)])
    found = under_control(plain, other)
    assert set(found.groups()) == {("forget", "text", "qa"), ("forget", "image", "name")}
    values = score(found)
    assert values["forget.text.probability"].value == pytest.approx(0.5)
    assert values["forget.image.name_probability"].value == pytest.approx(0.25)
    assert found.generations.empty and under_control(records([]), records([])).answers.empty


def test_a_classifier_is_judged_by_the_names_it_knows() -> None:
    rows = [{"p": {"answer": [true], "known_0": [0.4]}, **IMAGE} for true in (0.5, 0.3)]
    kept = eligible(records(rows), records(rows))
    assert kept.answers["row"].unique().tolist() == ["r0"]


def test_controls_in_python() -> None:
    model, data = taught("vision-language"), tiny_dataset()
    for name, change in (("blank", blank), ("shuffled", shuffled)):
        found = score(evaluate(model, data, images=name, limit=2, max_new_tokens=1))
        expected = score(
            measured(model, change(data), EvaluationSettings(limit=2, max_new_tokens=1))
        )
        assert found == expected
    with pytest.raises(RecipeError, match="did you mean 'blank'"):
        evaluate(model, data, images="blanc")


def test_only_images_are_measured_again() -> None:
    rows = [row for rows in images_only(tiny_dataset()).evaluation.values() for row in rows]
    assert rows and all(row.image is not None for row in rows)


def test_an_unknown_control_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"evaluation\.controls"):
        parse_recipe({"name": "x", "models": {}, "evaluation": {"controls": ["dark"]}}, "test")


CONTENT = {
    "name": "gated",
    "data": {"people": 4, "strangers": 1, "forget": 2},
    "runs": [{"method": "gradient_ascent", "train": TEACH}],
}


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory, planner: Callable[..., Any]) -> Any:
    """An original, a gold and one run of a tiny vision-language model, made and measured."""
    folder = tmp_path_factory.mktemp("gated")
    tiny_model("vision-language").save(folder / "tiny")
    models = {"vision-language": {"source": str(folder / "tiny"), "teach": TEACH}}
    made = planner(CONTENT | {"models": models, "evaluation": GATED}, folder)
    for row in made.planned.rows:
        for stage in row.measured.stages:
            made.make(stage)
    return made, lambda about: planner(CONTENT | {"models": models, "evaluation": about}, folder)


def test_the_recipe_measures_under_controls(gated: Any) -> None:
    """Only the original needs blank images for the gate; here everybody has them."""
    made, plan = gated
    for row in made.planned.rows:
        stages = row.measured.stages
        assert len({stage.key for stage in stages}) == 3
        for stage in stages[1:]:
            found = Records.load(made.folder(stage))
            assert set(found.answers["track"]) == {"image"} and KNOWN.name not in found
    gate = plan({"eligible": "known_by_sight"})
    first, gold = gate.row("original"), gate.row("gold")
    assert (list(first.measured.controls), list(gold.measured.controls)) == (["blank"], [])
    assert not plan({"eligible": "known"}).row("original").measured.controls


def test_the_recipe_scores_what_is_eligible(gated: Any) -> None:
    """The same as by hand; scores under controls have names of their own."""
    made, plan = gated
    first, run = made.row("original"), made.row("gradient_ascent")
    made.make(run.score)
    found = read_scores(made.folder(run.score))["scores"]
    known, blind, _ = (Records.load(made.folder(stage)) for stage in first.measured.stages)
    ours, *controlled = (Records.load(made.folder(stage)) for stage in run.measured.stages)
    expected = score(eligible(ours, known, blind))
    values = {key: each["value"] for key, each in found.items()}
    assert {key: each.value for key, each in expected.items()}.items() <= values.items()
    for name, other in zip(("blank", "shuffled"), controlled, strict=True):
        again = score(eligible(under_control(ours, other), known, blind))
        for key, each in again.items():
            if ".image." in key and not key.startswith("side."):
                assert values[f"{key}_{name}"] == each.value
    assert any(key.endswith("_blank") for key in values)
    assert not any(key.startswith("side.") and key.endswith("_blank") for key in values)
    assert all(key.split(".")[1] == "image" for key in values if key.endswith("_shuffled"))
    everything = plan({**GATED, "eligible": "all"})
    stage = everything.row("gradient_ascent").score
    assert everything.row("gradient_ascent").model.key == run.model.key
    everything.make(stage)
    rows = read_scores(everything.folder(stage))["scores"]
    key = "forget.text.probability"
    assert found.get(key, {"n": 0})["n"] <= rows[key]["n"]


def test_the_gate_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 0 was known without looking, row 1 by looking, row 2 not at all."""
    logs = {"model": [0.1] * 3, "original": [0.5, 0.5, 0.1], "blank": [0.5, 0.1, 0.5]}
    for name, values in logs.items():
        (tmp_path / name).mkdir()
        records([choice(each, **IMAGE) for each in values]).save(tmp_path / name)
    model, original, unseen = (tmp_path / name for name in logs)
    for blank_log, rows in ((None, 2), (unseen, 1)):
        scores.score(model, original=original, known_only=True, blank=blank_log, as_json=True)
        told = json.loads(capsys.readouterr().out)["scores"]
        assert told["forget.image.name_choice"]["n"] == rows
    with pytest.raises(RecipeError, match="depends on the original"):
        scores.score(model, blank=unseen)


def test_the_report_says_what_counts() -> None:
    environment = {
        "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
        "workers": 1, "threads_per_worker": 1,
    }  # fmt: skip
    content = {"schema": 2, "environment": environment, "rows": [], "recipe": {"name": "x"}}
    known = content | {"recipe": {"name": "x", "evaluation": {"eligible": "known"}}}
    pages = [render(Results.parse(each, "results"), Details()) for each in (known, content)]
    assert "Only rows that the original knew count." in pages[0]
    assert "Only rows that" not in pages[1]
