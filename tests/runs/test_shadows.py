"""Shadow models in recipes: heads of two halves, whole models, and the attacks on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clearbench.attacks.matches import ROLES, Matches
from clearbench.errors import RecipeError
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.stage import read_outcome
from clearbench.runs.stages.attack import AttackScoreStage, read_attack_scores
from clearbench.runs.stages.heads_attack import HeadsScoreStage
from clearbench.runs.stages.shadow_heads import TeachHeadsStage, UnlearnHeadsStage

TRAIN = {"steps": 3, "batch_size": 4, "learning_rate": 1.0e-2, "parts": ["projector"]}
FORGET = {"modality": "image", "model": "classifier", "train": TRAIN}
HALF = {"people": 12, "strangers": 0, "forget": 2, "half": "first"}
#: Keys of U-LIRA over heads.
AUC = "forget.image.u_lira_method_auc"


def heads(**changes: Any) -> dict[str, Any]:
    return {
        "name": "heads",
        "data": HALF,
        "models": {"classifier": {"head": "projected_margin", "teach": TRAIN}},
        "shadows": {"classifier": {"models": 6, "heads": True}},
        "attacks": [{"attack": "u_lira"}, {"attack": "u_lira_clear_code"}],
        "evaluation": {"limit": 4, "splits": ["forget", "holdout"]},
        "runs": [
            {"method": "retain_finetune", **FORGET},
            {"method": "scrub_bio", **FORGET},
            {"method": "retrain", **FORGET},
        ],
    } | changes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, planner: Callable[..., Any]) -> Any:
    return planner(heads(), tmp_path_factory.mktemp("heads"))


def test_heads_of_both_halves_are_attacked(made: Any) -> None:
    rows = {row.method: row for row in made.planned.families[0].rows}
    found = {}
    for name in ("original", "gold", "retain_finetune", "scrub_bio"):
        stage = rows[name].attacks["u_lira"]
        assert isinstance(stage, HeadsScoreStage)
        assert made.make(stage)["status"] == "ok"
        found[name] = read_attack_scores(made.folder(stage))
    assert rows["retrain"].attacks["u_lira"].ours.key == rows["gold"].attacks["u_lira"].ours.key
    for name in found:
        score = found[name]["scores"][AUC]
        assert score["gold"] == found["gold"]["scores"][AUC]["value"]
        assert score["original"] == found["original"]["scores"][AUC]["value"]
        assert {f"{role}.image.heads_accuracy" for role in ROLES} <= set(found[name]["scores"])
        drawing = found[name]["drawings"]["forget.image.u_lira"]
        assert len(drawing["false_positives"]) == len(drawing["true_positives"]) == 61
    assert found["retain_finetune"] != found["original"]


def test_people_swap_roles_between_the_halves(made: Any) -> None:
    matched = made.row("original").attacks["u_lira"].ours.matched
    made.make(matched)
    matches = Matches.load(made.folder(matched))
    assert matches.own.shape[0] == 6
    first, second = matches.roles[0], matches.roles[5]
    forget, holdout, retain = range(3)
    assert (matches.roles[:3] == first).all() and (matches.roles[3:] == second).all()
    assert ((first == forget) == (second == holdout)).all()
    assert ((first == holdout) == (second == forget)).all()
    assert ((first == retain) == (second == retain)).all() and (first == -1).any()
    assert set(matches.people[first == forget]) == made.planned.dataset.people("forget")
    assert len(np.unique(matches.people)) == 12
    images, counts = np.unique(matches.people[matches.enrolled], return_counts=True)
    assert len(images) == 12 and (counts == 5).all()


def test_heads_differ_by_seed_and_gold_never_met_the_forgotten(made: Any) -> None:
    first, second = made.row("original").attacks["u_lira"].ours.matched.halves
    assert isinstance(first, TeachHeadsStage)
    assert not set(first.seeds) & set(second.seeds)
    made.make(first)
    weights = first.weights(made.inputs)["projection.weight"]
    assert len(weights) == 3 and not torch.equal(weights[0], weights[1])
    gold, _ = made.row("gold").attacks["u_lira"].ours.matched.halves
    assert gold.gold and not first.gold and gold.key != first.key
    made.make(gold)
    assert not torch.equal(gold.weights(made.inputs)["projection.weight"], weights)
    unlearned, _ = made.row("scrub_bio").attacks["u_lira"].ours.matched.halves
    assert isinstance(unlearned, UnlearnHeadsStage) and unlearned.start.key == first.key


def test_heads_that_diverge_are_kept_as_diverged(
    tmp_path: Path, planner: Callable[..., Any]
) -> None:
    wild = {**TRAIN, "learning_rate": 1e38}
    about = heads(shadows={"classifier": {"models": 6, "heads": True, "teach": wild}})
    made = planner(about, tmp_path)
    first, _ = made.row("original").attacks["u_lira"].ours.matched.halves
    assert made.make(first)["status"] == "diverged"
    assert "not finite" in read_outcome(made.folder(first))["reason"]


def test_whole_models_are_shadows_of_a_half(
    tmp_path: Path, tiny_folder: Path, planner: Callable[..., Any]
) -> None:
    train = {"steps": 2, "batch_size": 4, "parts": ["language"], "lora_rank": 2}
    made = planner(
        {
            "name": "shadows",
            "data": {"people": 8, "strangers": 0, "forget": 2, "half": "first"},
            "models": {"language": {"source": str(tiny_folder), "teach": train}},
            "shadows": {"language": {"models": 6}},
            "attacks": [{"attack": "u_lira"}],
            "evaluation": {
                "limit": None, "max_new_tokens": 1, "splits": ["forget", "retain", "holdout"],
            },
            "runs": [{"method": "npo", "model": "language", "modality": "text", "train": train}],
        },
        tmp_path,
    )  # fmt: skip
    stage = made.row("npo").attacks["u_lira"]
    assert isinstance(stage, AttackScoreStage)
    shadows = stage.ours.shadows
    assert [shadow.swapped for shadow in shadows] == [False] * 3 + [True] * 3
    forget = made.planned.dataset.people("forget")
    holdout = made.planned.dataset.people("holdout")
    assert {shadow.taught for shadow in shadows[:3]} == {tuple(sorted(forget))}
    assert {shadow.taught for shadow in shadows[3:]} == {tuple(sorted(holdout))}
    for other, models in (("gold", stage.gold.shadows), ("original", stage.original.shadows)):
        assert {shadow.stage.key for shadow in models}.isdisjoint(
            shadow.stage.key for shadow in shadows
        ), other
    alike = replace(stage, gold=stage.ours, original=stage.ours)  # a third of the models
    assert made.make(alike)["status"] == "ok"
    scores = read_attack_scores(made.folder(alike))["scores"]
    assert scores["forget.text.u_lira_shadow_models"]["value"] == 6
    own = scores["forget.text.u_lira_auc"]
    assert own["clusters"] == 4 and own["gold"] == own["original"] == own["value"]
    pairs = scores["forget.text.u_lira_method_auc"]
    assert pairs["n"] == 6 * own["n"]
    swapped = shadows[5].shadow(made.inputs)
    group = swapped.records.groups()
    assert {key.split for key in group} == {"forget", "holdout"}
    split_of = {p: key.split for key, rows in group.items() for p in rows.people.values()}
    assert {person for person, split in split_of.items() if split == "forget"} == forget


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shadows": {}}, "needs shadow models"),
        ({"shadows": {"language": {"models": 6}}}, "no such model"),
        ({"shadows": {"classifier": {"models": 7, "heads": True}}}, "multiple of 2"),
        ({"shadows": {"classifier": {"models": 4, "heads": True}}}, "6"),
        (
            {"shadows": {"classifier": {"models": 6}}, "data": {"people": 12, "forget": 2}},
            "set data.half",
        ),
        ({"runs": [{"method": "unsir", **FORGET}]}, "changes pictures"),
        ({"data": HALF | {"requests": [1, 1]}}, "forget all people at once"),
        ({"data": HALF | {"fold": "validation"}}, "this fold forgets others"),
    ],
)
def test_what_cannot_be_is_refused_at_once(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse_recipe(heads(**changes), "test")


def test_one_request_of_all_people_is_what_shadow_models_forget() -> None:
    assert parse_recipe(heads(data=HALF | {"requests": [2]}), "test").data.requests == (2,)
