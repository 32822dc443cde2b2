"""`validate` and `doctor`: what they print, and the status they leave with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from clearbench.cli import app
from clearbench.data.write_clear import write_dataset
from clearbench.testing import tiny_dataset, tiny_model


def run(*words: object) -> Result:
    """A command in this process."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    write_dataset(tiny_dataset(), folder)
    return folder


@pytest.fixture(scope="module")
def tofu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One author to forget and one to keep, in TOFU's layout."""
    folder = tmp_path_factory.mktemp("tofu")
    rows = [{"question": f"Q{k}?", "answer": f"A{k}."} for k in range(40)]
    more = {"paraphrased_answer": "P.", "perturbed_answer": [f"{k}" for k in range(5)]}
    for name, each in (
        ("full", rows), ("forget10", rows[20:]), ("retain90", rows[:20]),
        ("forget10_perturbed", [row | more for row in rows[20:]]),
        ("retain_perturbed", [row | more for row in rows[:20]]),
    ):  # fmt: skip
        (folder / f"{name}.json").write_text("\n".join(map(json.dumps, each)))
    return folder


def test_a_built_folder_is_valid(built: Path) -> None:
    done = run("validate", built)
    assert done.exit_code == 0 and "no problems" in done.output and "real_faces" in done.output


def test_counts_that_differ_leave_2(tofu: Path) -> None:
    done = run("validate", tofu)
    assert done.exit_code == 2
    for line in done.output.splitlines():
        if " full " in line:
            assert "4,000" in line and "40" in line and "differs" in line
        if " forget05 " in line:
            assert "missing" in line
    assert "counts are not the published ones" in done.output


def test_the_same_as_json(tofu: Path, built: Path) -> None:
    done = run("validate", tofu, "--json")
    found = json.loads(done.output)
    assert done.exit_code == 2 and found["layout"] == "tofu" and found["ok"] is False
    counts = {each["name"]: (each["expected"], each["found"]) for each in found["configurations"]}
    assert counts["full"] == (4000, 40) and counts["forget05"] == (200, None)
    assert {each["name"]: each["training"] for each in found["splits"]}["forget"] == 20
    done = run("validate", built, "--json")
    assert done.exit_code == 0 and json.loads(done.output)["ok"] is True


def test_bad_rows_leave_2(tofu: Path, tmp_path: Path) -> None:
    for path in tofu.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "forget10.json").write_text('{"question": "Not there?", "answer": "No."}')
    for command in ("validate", "doctor"):
        done = run(command, tmp_path)
        assert done.exit_code == 2
        assert "forget10.json:1: question and answer are not in 'full'" in done.output


def test_recipes_are_checked_as_before() -> None:
    done = run("validate", "demo", "--json")
    assert done.exit_code == 0 and json.loads(done.output)["recipe"] == "demo"


def test_the_doctor_says_where_columns_go(tofu: Path) -> None:
    done = run("doctor", tofu)
    assert done.exit_code == 0, done.output
    assert "perturbed_answer -> qa.perturbed_answers" in done.output
    assert "paraphrased_question" in done.output, "a published column that is missing"
    assert "each row counts as a person" in done.output, "nothing says who is asked about"


def test_the_doctor_knows_the_machine() -> None:
    done = run("doctor")
    assert done.exit_code == 0
    lines = {line.split()[0]: line for line in done.output.splitlines() if line.strip()}
    assert torch.__version__ in lines["torch"] and "HF_HUB_OFFLINE" in lines["hub"]
    assert {"transformers", "accelerator", "torchvision", "processors"} <= set(lines)


@pytest.mark.parametrize("kind", ["language", "vision-language", "classifier"])
def test_the_doctor_examines_models(kind: str, tmp_path: Path) -> None:
    tiny_model(kind).save(tmp_path)
    done = run("doctor", tmp_path)
    assert done.exit_code == 0, done.output
    said = done.output
    assert f"{kind} (" in said
    assert ("in model.vision_tower" in said) == (kind == "vision-language")
    assert ("9 tokens" in said) == (kind == "vision-language")
    assert ("shared, text" in said and "exact, used" in said) == (kind != "classifier")
    assert ("person 0" in said) == (kind == "classifier")


def test_a_model_that_fails_is_a_problem(tmp_path: Path, monkeypatch: Any) -> None:
    from clearbench.models.token_model import TokenModel

    def broken(*_: object) -> None:
        raise RuntimeError("expected Half but found Float")

    tiny_model("language").save(tmp_path)
    monkeypatch.setattr(TokenModel, "statistics", broken)
    done = run("doctor", tmp_path)
    assert done.exit_code == 2 and "expected Half but found Float" in done.output


def test_what_is_neither_is_one_screen(clearbench: Callable[..., Any]) -> None:
    said = clearbench("doctor", "nobody/nothing", code=2).stderr
    assert "neither a dataset nor a model" in said and "hf download" in said
    assert "Traceback" not in said and len(said.splitlines()) < 12
