"""Rows of the results, their comparison with those of another run, and what a store must keep."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from clearbench.errors import StorageError
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.runs import prune
from clearbench.runs import results as assembling
from clearbench.runs.compare import combined, ranks
from clearbench.runs.execute import Runtime
from clearbench.runs.files import RECIPE
from clearbench.runs.folders import differences
from clearbench.runs.plan import Family, PlannedRow, plan
from clearbench.runs.recipe import dump_recipe, parse_recipe
from clearbench.runs.results import EndedRun, environment, result_row
from clearbench.runs.schema import Row, Scored
from clearbench.runs.stage import StageOutcome
from clearbench.runs.stages.data import StoredData
from clearbench.runs.store import Store
from clearbench.runs.written import refuse_other_recipe
from clearbench.storage import new_folder
from clearbench.testing import tiny_dataset


@pytest.fixture
def families(small_recipe: dict[str, Any]) -> list[Family]:
    """Two requests of one person each, with two golds."""
    content = copy.deepcopy(small_recipe)
    content["data"] = {"people": 8, "forget": 2, "requests": [1, 1]}
    content["models"]["language"]["golds"] = 2
    data = StoredData("data-tiny", "digest", ("text",))
    return plan(parse_recipe(content, "test"), tiny_dataset().for_kind("language"), data)


def ended(row: PlannedRow, tmp_path: Path, **bad: str) -> EndedRun:
    """Outcomes of a row's stages: ok, but for the stages that are named."""
    stages = {"model": row.model, "records": row.measured.plain, "score": row.score}
    outcomes = {
        stage.key: StageOutcome(cast(Any, bad.get(name, "ok")), f"of the {name}")
        for name, stage in stages.items()
    }
    return EndedRun(Store(tmp_path), outcomes)


def made_row(
    family: Family, run: EndedRun, monkeypatch: pytest.MonkeyPatch, scored: Scored | None = None
) -> Row:
    monkeypatch.setattr(EndedRun, "scored", lambda *_: scored)
    (row,) = family.unlearned
    return result_row(row, family.golds, run, EvaluationSettings(), {})


@pytest.mark.parametrize(
    ("bad", "status", "reason"),
    [
        ({}, "ok", "of the score"),
        ({"model": "diverged", "records": "failed", "score": "failed"}, "diverged", "of the model"),
        ({"records": "failed", "score": "failed"}, "failed", "of the records"),
        ({"score": "failed"}, "failed", "of the score"),
    ],
)
def test_a_row_has_the_outcome_of_its_first_bad_stage(
    families: list[Family], bad: dict[str, str], status: str, reason: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (row,) = families[0].unlearned
    found = made_row(families[0], ended(row, tmp_path, **bad), monkeypatch)
    assert (found.status, found.reason, found.verdict) == (status, reason, None)
    assert (found.share, found.seed, found.gold) == (0.125, 0, families[0].golds[0].id)
    assert found.stages == row.stage_keys


def test_a_verdict_rests_on_everybody_forgotten_so_far(
    families: list[Family], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[Any] = []
    monkeypatch.setattr(assembling, "judge", lambda *about: rests.append(about[5]) or about[5])
    monkeypatch.setattr(assembling, "read_evidence", lambda folder: _evidence())
    monkeypatch.setattr(Store, "finished", Store.folder)
    score = {"value": 0.5, "n": 3, "clusters": 3, "direction": "gold"}
    scored = Scored.model_validate({"scores": {"forget.text.probability": score}})
    for number, family in enumerate(families, start=1):
        (row,) = family.unlearned
        made_row(family, ended(row, tmp_path), monkeypatch, scored)
        assert (rests[-1].people_forgotten, rests[-1].golds) == (number, 2)
        assert (rests[-1].people_asked, rests[-1].rows) == ({"text": 2}, {"text": 3})
        assert rests[-1].attacks == () and rests[-1].not_run[0] == "membership"


def _evidence() -> Any:
    import pandas as pd

    return pd.DataFrame(
        {
            "key": ["forget.text.probability"] * 3 + ["retain.text.probability"],
            "row": ["a", "b", "c", "d"],
            "person": [0, 0, 1, 5],
        }
    )


def row(seed: int, **about: Any) -> Row:
    fields = {
        "id": f"m-{seed}", "method": "npo", "model": "language", "modality": "text", "share": 0.1,
        "seed": seed, "variant": {}, "hyperparameters": {}, "training": {"steps": 3}, "gold": "g",
        "protocol": "clear", "status": "ok", "reason": "", "scores": {}, "cost": {},
    }  # fmt: skip
    return Row.model_validate(fields | about)


@pytest.mark.parametrize(
    "about",
    [
        {"method": "dpo"},
        {"model": "classifier"},
        {"modality": "both"},
        {"share": 0.2},
        {"variant": {"rank": 2}},
        {"hyperparameters": {"beta": 0.3}},
        {"training": {"steps": 4}},
    ],
)
def test_a_mean_is_over_runs_that_differ_in_their_seed_alone(about: dict[str, Any]) -> None:
    assert len(combined([row(0), row(1)])) == 1
    assert combined([row(0), row(1, **about)]) == ()


@pytest.mark.parametrize(
    "about", [{"method": "gold"}, {"method": "original"}, {"status": "failed"}]
)
def test_only_runs_that_ended_well_rank(about: dict[str, Any]) -> None:
    def scored(value: float) -> dict[str, Any]:
        score = {"value": value, "n": 9, "clusters": 9, "gold": 0.0}
        return {
            "forget.text.probability": score | {"direction": "gold"},
            "retain.text.probability": score | {"direction": "up"},
        }

    rows = [row(k, scores=scored(k / 9)) for k in range(6)]
    (found,) = ranks(rows)
    assert found.runs == 6 and found.spearman[0] == pytest.approx([1.0, -1.0])
    (fewer,) = ranks([*rows[:5], row(5, scores=scored(0.9), **about)])
    assert fewer.runs == 5
    assert ranks([*rows[:4], row(5, scores=scored(0.9), **about)]) == ()


def test_the_environment_names_processes_and_threads() -> None:
    found = environment(Runtime(workers=3, threads=2))
    assert (found.workers, found.threads_per_worker) == (3, 2)
    assert environment(Runtime(device="cpu")).device == "cpu"


def written(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_comparison_sees_what_only_one_run_has(tmp_path: Path) -> None:
    about = {
        "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
        "workers": 1, "threads_per_worker": 1,
    }  # fmt: skip
    score = {"value": 0.5, "n": 3, "clusters": 3, "direction": "gold"}
    rows = [row(0, scores={"forget.text.a": score}), row(1)]
    content = {
        "schema": 2, "recipe": {"name": "x"}, "environment": about,
        "rows": [each.model_dump(mode="json") for each in rows],
    }  # fmt: skip
    first = written(tmp_path / "first.json", content)
    fewer = copy.deepcopy(content)
    del fewer["rows"][1]
    (found,) = differences(first, written(tmp_path / "second.json", fewer))
    assert "rows: 2 and 1 entries" in found
    other = copy.deepcopy(content)
    other["rows"][0]["scores"] = {"forget.text.b": score}
    found = differences(first, written(tmp_path / "third.json", other))
    assert [line.rpartition(".")[2] for line in found] == ["a: only in one", "b: only in one"]
    other["rows"][0]["scores"] = {"forget.text.a": score | {"n": 4}}
    (line,) = differences(first, written(tmp_path / "fourth.json", other))
    assert "3 and 4" in line


def test_a_folder_takes_one_recipe(small_recipe: dict[str, Any], tmp_path: Path) -> None:
    recipe = parse_recipe(small_recipe, "test")
    refuse_other_recipe(recipe, tmp_path)
    (tmp_path / RECIPE).write_text(dump_recipe(recipe))
    refuse_other_recipe(parse_recipe(small_recipe | {"title": "Other words"}, "test"), tmp_path)
    with pytest.raises(StorageError, match="results of another recipe"):
        refuse_other_recipe(parse_recipe(small_recipe | {"seed": 4}, "test"), tmp_path)


def test_a_shared_store_keeps_what_any_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {letter: f"measure-{letter}-{letter * 8}" for letter in "abcd"}
    needed = {"first": [keys["a"], keys["b"]], "second": [keys["b"], keys["c"]]}
    monkeypatch.setattr(prune, "_needed", lambda folder, store: iter(needed[folder.name]))
    for key in keys.values():
        with new_folder(tmp_path / "store" / key, {}) as folder:
            (folder / "result").write_text("x")
    runs = [tmp_path / name for name in needed]
    assert prune.prune_runs(runs, tmp_path / "store", really=False) == [keys["d"]]
    assert (tmp_path / "store" / keys["d"]).is_dir()
    assert prune.prune_runs(runs, tmp_path / "store", really=True) == [keys["d"]]
    left = {path.name for path in (tmp_path / "store").glob("measure-*")}
    assert left == {keys[letter] for letter in "abc"}
