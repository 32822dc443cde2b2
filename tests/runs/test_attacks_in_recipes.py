"""Attacks of a recipe: planned on every model, kept as stages, and scored beside gold's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearbench.errors import RecipeError
from clearbench.runs.recipe import dump_recipe, parse_recipe
from clearbench.runs.results import EndedRun, result_row
from clearbench.runs.stage import StageOutcome

TRAIN = {"steps": 2, "batch_size": 4, "parts": ["language"]}


def content(folder: Path, *attacks: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "attacks",
        "data": {"people": 6, "strangers": 2, "forget": 2},
        "models": {"language": {"source": str(folder), "teach": TRAIN, "golds": 2}},
        "evaluation": {"limit": 4, "max_new_tokens": 2, "splits": ["forget", "holdout"]},
        "runs": [
            {"method": "npo", "model": "language", "modality": "text", "train": TRAIN},
            {"method": "wga", "model": "language", "modality": "text", "train": TRAIN},
        ],
        "attacks": list(attacks),
    }


def test_an_attack_is_scored_beside_gold_and_original(
    tmp_path: Path, tiny_folder: Path, planner: Callable[..., Any]
) -> None:
    attack = {"attack": "mia_gradient_norm", "methods": ["npo"]}
    made = planner(content(tiny_folder, attack), tmp_path)
    first, gold, second, *tried = made.planned.families[0].rows
    assert second.method == "gold" and second.attacks == {}
    rows = {row.method: row for row in (first, gold, *tried)}
    assert {name: list(row.attacks) for name, row in rows.items()} == {
        "original": ["mia_gradient_norm"], "gold": ["mia_gradient_norm"],
        "npo": ["mia_gradient_norm"], "wga": [],
    }  # fmt: skip
    assert {stage.key for stage in rows["npo"].attacks.values()} <= {
        stage.key for stage in made.planned.stages
    }
    gold = rows["gold"].attacks["mia_gradient_norm"]
    assert gold.ours.key == gold.gold.key == rows["npo"].attacks["mia_gradient_norm"].gold.key
    for row in rows.values():
        for stage in (row.score, *row.attacks.values()):
            assert made.make(stage)["status"] == "ok"
    outcomes = dict.fromkeys(
        (key for row in rows.values() for key in row.stage_keys.values()), StageOutcome("ok")
    )
    ended = EndedRun(made.planned.store, outcomes)
    evaluation = parse_recipe(content(tiny_folder), "test").evaluation
    shown = {
        name: result_row(row, [rows["gold"]], ended, evaluation, {}).attacks
        for name, row in rows.items()
    }
    npo = result_row(rows["npo"], [rows["gold"]], ended, evaluation, {}).verdict
    assert npo is not None
    assert "mia_gradient_norm" in npo.rests_on.attacks
    assert npo.rests_on.not_run[0] == "relearning"
    key = "forget.text.mia_gradient_norm_auc"
    assert shown["wga"] == {}
    assert shown["npo"][key].gold == shown["gold"][key].value
    assert shown["npo"][key].original == shown["original"][key].value
    assert shown["npo"][key].value != shown["original"][key].value
    failed = dict(outcomes) | {
        rows["npo"].attacks["mia_gradient_norm"].key: StageOutcome("failed", "no memory")
    }
    row = result_row(
        rows["npo"], [rows["gold"]], EndedRun(made.planned.store, failed), evaluation, {}
    )
    assert row.status == "ok" and row.attacks == {}
    assert row.failed_attacks == {"mia_gradient_norm": "no memory"}


def test_wrong_attacks_are_refused_at_once(tiny_folder: Path) -> None:
    for entry, words in (
        ({"attack": "mia_gradient_nor"}, "mia_gradient_norm"),
        ({"attack": "mia_min_k", "parameters": {"share": 2}}, "share"),
        ({"attack": "mia_min_k", "models": ["tree"]}, "models"),
    ):
        with pytest.raises(RecipeError, match=words):
            parse_recipe(content(tiny_folder, entry), "test")


def test_a_recipe_without_attacks_keeps_its_identity(tiny_folder: Path) -> None:
    about = content(tiny_folder)
    without = {key: value for key, value in about.items() if key != "attacks"}
    assert parse_recipe(about, "test").identity == parse_recipe(without, "test").identity
    assert "attacks:" not in dump_recipe(parse_recipe(without, "test"))


def test_an_edited_file_of_prompts_is_another_attack(
    tmp_path: Path, tiny_folder: Path, planner: Callable[..., Any]
) -> None:
    prompts = tmp_path / "mine.yaml"

    def planned(text: str) -> str:
        prompts.write_text(text)
        attack = {"attack": "prompts", "parameters": {"file": str(prompts)}}
        made = planner(content(tiny_folder, attack), tmp_path)
        original, *_ = made.planned.families[0].rows
        return str(original.attacks["prompts"].ours.key)

    first = planned("polite: {question: 'Please: {question}'}")
    assert planned("# A remark\npolite: {question: 'Please: {question}'}") == first
    assert planned("polite: {question: 'Kindly: {question}'}") != first
    with pytest.raises(RecipeError, match="holds no prompts"):
        planned("")
