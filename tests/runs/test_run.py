"""What a finished run leaves, and that nothing in it is done twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clearbench.errors import StorageError
from clearbench.models.model_files import UNSAFE
from clearbench.runs.execute import Runtime
from clearbench.runs.folders import differences
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import run
from clearbench.runs.verify import verify_run

KEY = re.compile(
    r"(forget|retain|holdout|real_faces|real_authors|real_world|all|side)\.(text|image)\.[a-z0-9_]+"
)


@pytest.fixture
def results(finished_run: Path) -> dict[str, Any]:
    return dict(json.loads((finished_run / "results.json").read_text()))


def test_every_row_has_what_the_surface_promises(results: dict[str, Any]) -> None:
    assert results["schema"] == 2 and {"recipe", "environment"} <= set(results)
    names = [(row["method"], row["model"], row["modality"]) for row in results["rows"]]
    assert names == [
        ("original", "vision-language", "both"),
        ("gold", "vision-language", "both"),
        ("gentle_ascent", "vision-language", "both"),
        ("dpo", "vision-language", "text"),
        ("retrain", "vision-language", "both"),
        ("original", "classifier", "image"),
        ("gold", "classifier", "image"),
        ("npo", "classifier", "image"),
    ]
    for row in results["rows"]:
        assert row["status"] == "ok", row["reason"]
        assert set(row["variant"]) == {"parts", "rank", "penalty"}
        assert {
            "seconds",
            "peak_memory_bytes",
            "trainable_parameters",
            "forwards",
            "backwards",
        } <= (set(row["cost"]))
        assert row["scores"] and all(KEY.fullmatch(key) for key in row["scores"])
        for score in row["scores"].values():
            assert {"value", "low", "high", "n", "clusters", "gold", "original", "version"} <= (
                set(score)
            )


def test_retraining_is_gold(results: dict[str, Any]) -> None:
    rows = {row["method"]: row for row in results["rows"] if row["model"] == "vision-language"}
    assert rows["retrain"]["scores"] == rows["gold"]["scores"]
    assert rows["dpo"]["variant"]["rank"] == 2
    assert rows["dpo"]["reference"] == "stored log-probabilities"
    assert rows["original"]["reference"] is None


def test_a_verdict_names_the_attacks_that_gave_a_score(results: dict[str, Any]) -> None:
    for row in results["rows"]:
        scored = {key.rpartition(".")[2] for key in row["scores"] if ".mia_" in key}
        rests_on = row["verdict"]["rests_on"]
        named = {f"{name}_auc" for name in rests_on["attacks"]}
        assert named == {name for name in scored if name.endswith("_auc")}
        assert ("membership" in rests_on["not_run"]) == (not scored)
    assert {
        row["model"] for row in results["rows"] if not row["verdict"]["rests_on"]["attacks"]
    } == {"classifier"}


def test_it_is_whole_and_holds_no_pickle(finished_run: Path) -> None:
    assert verify_run(finished_run).damaged == ()
    files = [path for path in finished_run.rglob("*") if path.is_file()]
    assert len(files) > 20 and not [path for path in files if path.suffix in UNSAFE]


def test_it_names_no_machine_and_no_place(finished_run: Path) -> None:
    text = (finished_run / "results.json").read_text()
    assert str(finished_run) not in text and "/tmp/" not in text  # noqa: S108 - looked for
    assert str(Path.home()) not in text


def test_a_flipped_bit_is_found(finished_run: Path, clearbench: Callable[..., Any]) -> None:
    target = next(finished_run.glob("stages/measure-*/answers.parquet"))
    content = target.read_bytes()
    try:
        target.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        done = clearbench("runs", "verify", finished_run, code=1)
        assert f"{target.parent.name}/answers.parquet" in done.stdout
    finally:
        target.write_bytes(content)
    assert verify_run(finished_run).damaged == ()


def test_comparison_sees_numbers_and_not_costs(
    finished_run: Path, results: dict[str, Any], tmp_path: Path
) -> None:
    first, second = finished_run / "results.json", tmp_path / "other.json"
    results["rows"][0]["cost"]["seconds"] = -1
    results["environment"]["workers"] = 99
    results["rows"][0]["stages"] = {"model": "of another version"}
    second.write_text(json.dumps(results))
    assert differences(first, second) == []
    results["rows"][0]["scores"]["forget.text.probability"]["value"] += 1e-12
    second.write_text(json.dumps(results))
    (found,) = differences(first, second)
    assert "rows[0].scores.forget.text.probability.value" in found


def test_a_folder_with_other_results_is_refused(finished_run: Path, plugin: Path) -> None:
    content = yaml.safe_load((finished_run / "recipe.yaml").read_text())
    content |= {"seed": 9, "runs": []}
    with pytest.raises(StorageError, match="results of another recipe"):
        run(parse_recipe(content, "test"), finished_run, Runtime(workers=1))
