"""Results are written and read by the same classes; older files are upgraded; damage is named."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import clearbench
from clearbench import benchmark
from clearbench.errors import RecipeError, StorageError
from clearbench.report.html import render
from clearbench.report.page_code import page_code
from clearbench.report.refresh import refresh_page
from clearbench.runs.choose import as_recipe_runs, badness, best_runs, shortfall
from clearbench.runs.folders import differences, list_runs, show_run
from clearbench.runs.schema import (
    Cost,
    CurvePoint,
    Details,
    Results,
    Scored,
    read_details,
    read_results,
    schema_of,
)
from clearbench.storage import canonical_json

Json = dict[str, Any]
KEY = "forget.text.probability"
#: As the code of commit 1b94ec0 wrote a row, with the shape that each value had.
ROW = {
    "attacks": {}, "curve": [
        {"step": 0, KEY: 0.75},
        {"forget": -0.5, "gradient_norm": 1.0, "loss": -0.25, "retain": 0.5, "step": 1, KEY: 0.5},
    ],
    "cost": {"backwards": 12, "forwards": 24, "measuring_peak_memory_bytes": 1246724096,
             "measuring_seconds": 9.5, "peak_memory_bytes": 1439072256, "seconds": 2.25,
             "trainable_parameters": 1869280},
    "gold": "language-gold", "hyperparameters": {"beta": 0.1, "form": "mean", "layers": 2,
                                                 "tuned": True},
    "id": "language-text-npo", "method": "npo", "modality": "text", "model": "language",
    "protocol": "clear", "reason": "", "reference": "stored log-probabilities", "seed": 3,
    "share": 0.25, "status": "ok",
    "scores": {KEY: {
        "chance": None, "clusters": 8, "direction": "gold", "gold": 0.25, "high": 0.5, "low": 0.25,
        "n": 60, "original": 0.9375, "range": [0.0, 1.0], "statistic": None, "value": 0.375,
        "version": 2}},
    "training": {
        "accumulate": 1, "batch_size": 12, "checkpoint_seconds": 60.0, "clip": 1.0,
        "decay": "linear", "floor": 0.1, "image_batch_size": None, "learning_rate": 0.0006,
        "lora_rank": 4, "max_retain_rise": None, "parts": ["language"],
        "penalty": {"on": "adapter", "reduce": "mean", "strength": 0.01},
        "precision": "float32", "replay": 0, "rule": None, "saliency": None, "steps": 12,
        "until": None, "warmup": 0.1, "weight_decay": 0.0},
    "variant": {"parts": ["language"], "rank": 4,
                "penalty": {"on": "adapter", "reduce": "mean", "strength": 0.01}},
    "verdict": {"distance": 0.1875, "garbage_ok": True, "indistinguishable": {KEY: False},
                "kept": {"retain.text.probability": 0.875}, "missing": [], "nearer_to_gold": {
                KEY: True}, "null_distance": 0.0625, "overshoot": {KEY: False}, "passed": True},
}  # fmt: skip


def a_row(method: str, **about: Any) -> Json:
    return json.loads(json.dumps(ROW)) | {"id": f"language-{method}", "method": method} | about


@pytest.fixture
def old() -> Json:
    """A `results.json` as the code of commit 1b94ec0 wrote it."""
    original = a_row("original", curve=[], hyperparameters={}, reference=None)
    del original["verdict"]
    failed = a_row("idk", status="failed", reason="out of memory", scores={}, cost={}, curve=[])
    del failed["verdict"]
    mean = {key: value for key, value in a_row("npo").items() if key in (
        "id", "method", "model", "modality", "share", "variant", "hyperparameters", "training",
        "protocol", "gold", "cost", "status", "reason", "verdict", "scores")}  # fmt: skip
    mean["scores"] = {KEY: ROW["scores"][KEY] | {"seeds": 2, "spread": 0.125}}  # type: ignore[index]
    return {
        "schema": 1,
        "recipe": {
            "name": "small", "title": "Small", "description": "", "identity": "0123456789abcdef",
            "seed": 3, "seeds": [3, 4], "data": {"source": "builtin", "fold": "validation"},
            "models": {"language": {"source": "builtin"}}, "runs": [{"method": "npo"}],
            "evaluation": {"protocol": "clear", "eligible": "known", "limit": 60},
        },
        "environment": {
            "accelerator": "none", "machine": "x86_64", "packages": {"torch": "2.13.0+cpu"},
            "python": "3.11.7", "system": "Linux", "threads_per_worker": 1, "workers": 2,
        },
        "plugins": [{"name": "mine.py", "sha256": "ab" * 32}],
        "rows": [original, a_row("gold", curve=[]), a_row("npo"), failed],
        "combined": [mean | {"seeds": [3, 4], "rows": ["language-npo", "b"], "seeds_passed": 1}],
        "null_bands": [{
            "model": "language", "share": 0.25, "golds": ["language-gold", "b"],
            "bands": {KEY: {"low": 0.25, "high": 0.375, "gap": 0.125, "pairs": 2}}}],
        "rank_correlations": [{
            "model": "language", "track": "text", "runs": 5, "metrics": [KEY, "all.text.x"],
            "spearman": [[1.0, -0.5], [-0.5, 1.0]]}],
    }  # fmt: skip


@pytest.fixture
def old_details() -> Json:
    """Its `details.json`, which had no number and called images pictures."""
    return {
        "people": {"forget": [{"id": "1", "name": "Ada Quill", "portraits": []}], "retain": []},
        "truth_ratios": {"language-npo": {"forget.text": [0.5, 2.0]}},
        "questions": [{
            "split": "forget", "track": "text", "person": "1", "name": "Ada Quill",
            "question": "Where?", "truth": "There.", "picture": "/9j/AAAA",
            "answers": {"language-npo": "Here."}}],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, old: Json, old_details: Json) -> Path:
    """A run's folder of schema 1."""
    (tmp_path / "results.json").write_text(canonical_json(old))
    (tmp_path / "details.json").write_text(canonical_json(old_details))
    return tmp_path


def test_schema_1_is_upgraded_and_only_old_verdicts_are_lost(folder: Path, old: Json) -> None:
    """What called a run `passed` says nothing of leaks, and is no word of today's."""
    results = read_results(folder)
    old["environment"]["device"] = ""
    for row in old["rows"]:
        row["stages"] = {}
    for row in (*old["rows"], *old["combined"]):
        row.pop("verdict", None)
        if row.pop("seeds_passed", None):
            row["words"] = []
        row["training"] |= {
            "modality_weights": {"image": 1.0, "text": 1.0}, "prompt_decoupling": None,
            "retain_average": 0.8,
        }  # fmt: skip
    assert canonical_json(results.json_value()) == canonical_json(old | {"schema": 2})
    assert results.recipe.data.fold == "validation"
    assert results.rows[2].training.learning_rate == 0.0006
    assert results.rows[2].curve[1].value(KEY) == 0.5
    assert results.rows[2].curve[0].value("loss") is None
    details = read_details(folder)
    assert details.questions[0].image == "/9j/AAAA"
    assert details.ratios("language-npo", "text") == [0.5, 2.0]


def test_what_is_written_is_read_again_byte_by_byte(folder: Path, tmp_path: Path) -> None:
    read: tuple[tuple[type[Results | Details], str], ...] = (
        (Results, "results.json"), (Details, "details.json"),
    )  # fmt: skip
    for cls, name in read:
        first, second = tmp_path / f"first-{name}", tmp_path / f"second-{name}"
        cls.read(folder / name).write(first)
        cls.read(first).write(second)
        assert first.read_bytes() == second.read_bytes()
        assert json.loads(first.read_text())["schema"] == 2
    assert schema_of(folder) == 1 and schema_of(tmp_path / "first-results.json") == 2


def test_files_of_both_schemas_compare(folder: Path, tmp_path: Path, old: Json) -> None:
    new = tmp_path / "new.json"
    content = old | {"schema": 2}
    content["recipe"] = old["recipe"] | {"identity": "another", "novel": 1}
    for row in content["rows"]:
        row["stages"] = {"model": "teach-1"}
    new.write_text(json.dumps(content))
    assert differences(folder, new) == differences(new, folder) == []
    content["rows"][2]["scores"][KEY]["value"] += 1e-12
    content["recipe"]["seed"] = 9
    new.write_text(json.dumps(content))
    assert [found.split(":")[0] for found in differences(folder, new)] == [
        ".recipe.seed", f".rows[2].scores.{KEY}.value"
    ]  # fmt: skip


def test_recipes_of_one_schema_are_compared_whole(folder: Path, tmp_path: Path, old: Json) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(old | {"recipe": old["recipe"] | {"novel": 1}}))
    assert differences(folder, other) == [".recipe.novel: only in one"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda c: c.update(schema=3), "schema = 3"),
        (lambda c: c.update(schema="two"), "schema = 'two'"),
        (lambda c: c.pop("rows"), "rows: Field required"),
        (lambda c: c["rows"][1].pop("method"), "rows.1.method: Field required"),
        (lambda c: c["rows"][2]["scores"][KEY].update(value="much"), f"rows.2.scores.{KEY}.value"),
        (lambda c: c["rows"][2].update(status="fine"), "rows.2.status"),
        (lambda c: c["rows"][2]["cost"].update(joules=1), "rows.2.cost.joules"),
        (lambda c: c["rows"][2].update(verdict={"word": "forgot"}), "rows.2.verdict.version"),
        (lambda c: c["null_bands"][0]["bands"][KEY].pop("gap"), f"null_bands.0.bands.{KEY}.gap"),
        (lambda c: c["environment"].pop("python"), "environment.python"),
    ],
)
def test_damage_is_named(
    damage: Callable[[Json], Any], named: str, folder: Path, old: Json
) -> None:
    damage(old)
    (folder / "results.json").write_text(json.dumps(old))
    with pytest.raises(StorageError) as error:
        read_results(folder)
    assert named in str(error.value) and "results.json" in str(error.value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_score_is_a_finite_number(value: float, folder: Path, old: Json) -> None:
    """JSON has no other; Python's reader takes them all the same."""
    bad = ROW["scores"][KEY] | {"value": value}  # type: ignore[index]
    for field in ("scores", "attacks"):
        rows = [*old["rows"][:2], old["rows"][2] | {field: {KEY: bad}}]
        (folder / "results.json").write_text(json.dumps(old | {"rows": rows}))
        with pytest.raises(StorageError, match=rf"rows\.2\.{field}\.{KEY}.* not a finite number"):
            read_results(folder)
    with pytest.raises(ValidationError, match="not a finite number"):
        Scored.model_validate({"scores": {KEY: bad}})


@pytest.mark.parametrize("content", ["[]", "3", '{"questions": [4]}', '{"questions": 4}', "{"])
def test_what_is_no_such_file_is_refused(content: str, folder: Path) -> None:
    (folder / "details.json").write_text(content)
    with pytest.raises(StorageError, match=r"details\.json"):
        read_details(folder)


def test_many_problems_are_not_all_told(folder: Path, old: Json) -> None:
    (folder / "results.json").write_text(json.dumps(old | {"rows": [{}]}))
    with pytest.raises(StorageError, match=r"rows\.0\.id: .* and \d+ more"):
        read_results(folder)


def test_an_old_run_is_listed_shown_and_drawn(folder: Path, old: Json) -> None:
    assert list_runs(folder) == ([(".", "small", 4, 1)], [])
    assert list(show_run(folder)[2].values())[:2] == ["language-npo", "ok"]
    assert show_run(folder)[2]["forget.text.probability"] == "0.375"
    assert "Ada Quill" in render(read_results(folder), read_details(folder))


def test_the_page_is_written_where_it_is_missing_or_old(folder: Path) -> None:
    page = refresh_page(folder)
    written = page.read_bytes()
    page.write_bytes(kept := f"kept, drawn by {page_code()}".encode())
    refresh_page(folder)
    assert page.read_bytes() == kept, "it is newer than the results"
    later = page.stat().st_mtime_ns + 10**9
    os.utime(folder / "results.json", ns=(later, later))
    refresh_page(folder)
    assert page.read_bytes() == written


def test_numbers_that_nobody_took_are_absent() -> None:
    cost = Cost(seconds=2.5, forwards=3)
    assert cost.model_dump(mode="json") == {"seconds": 2.5, "forwards": 3} == cost.items()
    point = CurvePoint.model_validate({"step": 4, "forget": 1.5})
    assert point.model_dump(mode="json") == {"step": 4, "forget": 1.5}


def test_a_page_from_plain_content_or_from_objects(folder: Path, old: Json) -> None:
    first = clearbench.report(old, folder / "first.html")
    second = clearbench.report(clearbench.read_results(folder), folder / "second.html")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() == benchmark.report(old, folder / "third.html").read_bytes()
    with pytest.raises(StorageError, match="rows: Field required"):
        clearbench.report({"schema": 2, "recipe": {"name": "x"}}, folder / "third.html")


def test_the_best_of_a_search_over_its_seeds(folder: Path, old: Json) -> None:
    """A combined row stands for its runs; what a recipe has by default is left out.

    One micro-batch was the default when the results were written, and is none now.
    """
    left = {"key": KEY, "kind": "left", "outcome": "open", "margin": 0.25, "estimate": 0.1875}
    kept = {"key": "retain.text.probability", "kind": "kept", "outcome": "holds", "margin": 0.8}
    verdict = {"word": "undecided", "version": "1", "modality": "text", "findings": [
        left, kept | {"estimate": 0.875}]}  # fmt: skip
    old["combined"][0]["verdict"] = verdict
    (folder / "results.json").write_text(json.dumps(old))
    (best,) = best_runs(folder)
    assert best.id == "language-npo" and badness(best) == (False, 1, 0.1875 + 2.0 * 0.125)
    assert best.verdict is not None and shortfall(best.verdict) == badness(best)[2]
    nothing = best.verdict.model_copy(  # type: ignore[union-attr]
        update={"findings": (best.verdict.findings[0].model_copy(update={"estimate": 0.8}),)}  # type: ignore[union-attr]
    )
    assert badness(best.model_copy(update={"verdict": nothing}))[0], "doing nothing is never best"
    (entry,) = as_recipe_runs([best])
    assert entry["hyperparameters"] == ROW["hyperparameters"]
    assert entry["train"] == {
        "steps": 12, "learning_rate": 0.0006, "lora_rank": 4, "parts": ["language"],
        "penalty": {"strength": 0.01, "reduce": "mean"}, "accumulate": 1,
    }  # fmt: skip
    old["recipe"]["data"]["fold"] = "reported"
    (folder / "results.json").write_text(json.dumps(old))
    with pytest.raises(RecipeError, match="validation fold"):
        best_runs(folder)
