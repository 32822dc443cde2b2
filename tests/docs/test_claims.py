"""docs/claims.md: what its recipes fix, its figures, its rules on made-up runs, its page."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from clearbench.runs.recipe import MethodPart, Recipe, load_recipe
from clearbench.runs.schema import Results, Row
from clearbench.training.settings import TrainSettings

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("claim-l1", "claim-both", "claim-destroy", "claim-lambda")
ORIGINAL, GOLD, RETAIN = 0.9, 0.3, 0.8
#: From a run and a track to the share forgotten and the share kept.
Effect = Callable[[MethodPart, str, str], tuple[float, float]]


@cache
def recipe(name: str) -> Recipe:
    return load_recipe(name)


@pytest.fixture(scope="module")
def writer() -> Iterator[ModuleType]:
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("write_claims")
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def figures(writer: ModuleType) -> ModuleType:
    return importlib.import_module("claims.figures")


def scores(forgotten: dict[str, float], kept: float) -> dict[str, dict[str, Any]]:
    def score(value: float, gold: float, original: float) -> dict[str, Any]:
        about = {"n": 8, "clusters": 8, "direction": "gold"}
        return about | {"value": value, "gold": gold, "original": original}

    found = {}
    for track, share in forgotten.items():
        value = ORIGINAL - share * (ORIGINAL - GOLD)
        for name in ("probability", "name_choice"):
            found[f"forget.{track}.{name}"] = score(value, GOLD, ORIGINAL)
            found[f"retain.{track}.{name}"] = score(kept * RETAIN, RETAIN, RETAIN)
        found[f"forget.{track}.garbage_rate"] = score(0.1, 0.0, 0.0)
        found[f"forget.{track}.forget_quality"] = score(1e-8, 1.0, 1e-20)
    return found


def a_row(
    method: str, seed: int, scores: Any, run: MethodPart | None = None, modality: str = "both"
) -> dict[str, Any]:
    training = (run.train if run else TrainSettings(steps=1)).model_dump(mode="json")
    return {
        "id": f"{method}-{seed}", "method": method, "model": "vision-language",
        "modality": modality, "share": 0.2, "seed": seed, "gold": f"gold-{seed}",
        "variant": {"rank": training["lora_rank"], "penalty": training["penalty"]},
        "hyperparameters": run.hyperparameters if run else {}, "training": training,
        "protocol": "clear", "status": "ok", "reason": "", "cost": {}, "scores": scores,
    }  # fmt: skip


def made_up(name: str, effect: Effect, seeds: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    """A `results.json` of a claim's recipe in which every run does what `effect` says."""
    rows = []
    for seed in seeds:
        gold = a_row("gold", seed, scores({"text": 1.0, "image": 1.0}, 1.0))
        original = gold | {"id": f"original-{seed}", "method": "original"}
        rows += [original | {"scores": scores({"text": 0.0, "image": 0.0}, 1.0)}, gold]
        for number, run in enumerate(recipe(name).runs):
            for modality in run.modalities:
                each = {t: effect(run, modality, t)[0] for t in ("text", "image")}
                kept = effect(run, modality, "text")[1] + 0.001 * seed
                row = a_row(run.method, seed, scores(each, kept), run, modality)
                rows.append(row | {"id": f"{number}-{modality}-{seed}"})
    environment = {
        "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
        "workers": 1, "threads_per_worker": 1,
    }  # fmt: skip
    return {"schema": 2, "recipe": {"name": name}, "environment": environment, "rows": rows}


def results_of(content: dict[str, Any]) -> Results:
    return Results.parse(content, "made up")


def judged(writer: ModuleType, name: str, effect: Effect) -> tuple[str, list[bool]]:
    claim = writer.CLAIMS[name]
    found = writer.measured(results_of(made_up(name, effect)), claim.about)
    checks = claim.checks(writer.from_json(json.loads(json.dumps(found.json()))))
    return writer.rules.verdict(checks), [check.holds for check in checks]


def penalised(run: MethodPart) -> float:
    return run.train.penalty.strength if run.train.penalty else 0.0


def test_the_four_share_originals_and_stop_nowhere_early() -> None:
    recipes = [recipe(name) for name in NAMES]
    kind, demo = "vision-language", recipe("demo")
    for each in recipes:
        assert each.seeds == (0, 1, 2) and (each.data, each.seed) == (demo.data, demo.seed)
        assert each.models[kind].teach == demo.models[kind].teach
        assert each.evaluation == recipes[0].evaluation
        assert {run.train.steps for run in each.runs} == {30}
        assert not any(run.train.until for run in each.runs)


def test_the_arms_of_l1_differ_in_nothing_else() -> None:
    strengths = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
    runs = recipe("claim-l1").runs
    plain = {run.train.model_copy(update={"penalty": None, "lora_rank": None}) for run in runs}
    assert len(plain) == 1
    for rank, on in ((8, "adapter"), (None, "delta")):
        none, *penalties = [run.train.penalty for run in runs if run.train.lora_rank == rank]
        assert none is None and {each.on for each in penalties if each} == {on}
        for reduce in ("sum", "mean"):
            assert [e.strength for e in penalties if e and e.reduce == reduce] == strengths


def test_figures_are_shares_of_the_way_to_gold(figures: ModuleType) -> None:
    gold = Row.model_validate(a_row("gold", 0, scores({"text": 1.0, "image": 1.0}, 1.0)))
    run = Row.model_validate(a_row("npo", 0, scores({"text": 0.25, "image": 1.4}, 0.7)))
    found = figures.figures(run, gold)
    assert found["forgotten.text"] == pytest.approx(0.25)
    assert found["distance.text"] == pytest.approx(0.75)
    assert (found["forgotten.image"], found["kept"]) == (1.0, 0.7)
    assert found["distance.image"] == pytest.approx(0.4)
    diverged = Row.model_validate(a_row("npo", 0, {}) | {"status": "diverged"})
    gone = figures.figures(diverged, gold)
    assert (gone["kept"], gone["forgotten.text"], gone["garbage"]) == (0.0, 1.0, 1.0)
    assert gone["distance.text"] == pytest.approx(GOLD / (ORIGINAL - GOLD))


def test_intervals_are_student_s_and_infinite_under_three_seeds(figures: ModuleType) -> None:
    values = [0.2, 0.5, 0.9]
    found = figures.over_seeds(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert math.isinf(figures.over_seeds(values[:2]).high)


def l1_saves(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return (1.0, 0.9 if run.train.lora_rank and penalised(run) else 0.2)


def l1_saves_somewhere(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return (1.0, 0.9 if penalised(run) in (1e-4, 1e-3) else 0.2)


def l1_pins_to_the_original(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return (0.0, 1.0) if penalised(run) else (1.0, 0.2)


def l1_saves_what_was_not_lost(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return 1.0, 0.95 if penalised(run) else 0.85


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [
        (l1_saves, "confirmed"),
        (l1_saves_somewhere, "mixed"),
        (l1_pins_to_the_original, "not confirmed"),
        (l1_saves_what_was_not_lost, "not confirmed"),
    ],
)
def test_l1_saves_only_what_was_lost_and_if_as_much_is_forgotten(
    writer: ModuleType, effect: Effect, verdict: str
) -> None:
    assert judged(writer, "claim-l1", effect)[0] == verdict


def own_track_alone(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return (0.9 if modality in (track, "both") else 0.0, 0.9)


def both_at_a_price(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return own_track_alone(run, modality, track)[0], 0.5 if modality == "both" else 0.9


def both_worse_on_text(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    wrecks = modality == "both" and track == "text"
    return 1.8 if wrecks else own_track_alone(run, modality, track)[0], 0.9


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [
        (own_track_alone, "confirmed"),
        (both_at_a_price, "not confirmed"),
        (both_worse_on_text, "mixed"),
    ],
)
def test_both_must_cost_nothing(writer: ModuleType, effect: Effect, verdict: str) -> None:
    assert judged(writer, "claim-both", effect)[0] == verdict


def as_clear_says(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    bad = run.method in ("gradient_ascent", "gradient_difference", "kl_minimization", "rmu")
    return (1.0, 0.1) if bad else (0.1, 0.95)


def as_the_rate_says(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return (1.0, 0.1) if run.train.learning_rate > 1e-3 else (0.1, 0.95)


def as_clear_says_at_high_rates(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    high = run.train.learning_rate > 1e-3
    return as_clear_says(run, modality, track) if high else (0.1, 0.95)


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [
        (as_clear_says, "confirmed"),
        (as_clear_says_at_high_rates, "mixed"),
        (as_the_rate_says, "not confirmed"),
    ],
)
def test_who_destroys_is_a_matter_of_method(
    writer: ModuleType, effect: Effect, verdict: str
) -> None:
    assert judged(writer, "claim-destroy", effect)[0] == verdict


def traded(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    share = float(run.hyperparameters["retain_weight"]) / 32
    return 1 - share, 0.1 + 0.8 * share


def free(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return 0.9, traded(run, modality, track)[1]


@pytest.mark.parametrize(("effect", "verdict"), [(traded, "confirmed"), (free, "mixed")])
def test_lambda_trades(writer: ModuleType, effect: Effect, verdict: str) -> None:
    assert judged(writer, "claim-lambda", effect)[0] == verdict


def test_slopes_are_least_squares(writer: ModuleType) -> None:
    claim = writer.CLAIMS["claim-lambda"]
    found = writer.measured(results_of(made_up("claim-lambda", traded)), claim.about)
    weights = np.array([each.about["retain_weight"] for each in found.settings[1:]])
    kept = [each.values("kept")[1] for each in found.settings[1:]]
    slope = np.polyfit(np.log2(weights), kept, 1)[0]
    assert writer.rules.slopes(found, "kept")[1] == pytest.approx(slope)


def test_runs_become_figures_a_page_and_plots(writer: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    effects = (l1_saves_somewhere, own_track_alone, as_clear_says, traded)
    for name, effect in zip(NAMES, effects, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(made_up(name, effect)))
    writer.main([str(tmp_path / name) for name in reversed(NAMES)], tmp_path)
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert page == writer.page(writer.load(tmp_path / "claims.json"))
    assert [page.count(f"**Verdict: {v}.**") for v in ("mixed", "confirmed")] == [1, 3]
    for name in NAMES:
        assert f"](images/{name}.png)" in page
        assert (tmp_path / "images" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_not_whole_is_refused(writer: ModuleType) -> None:
    results = made_up("claim-lambda", traded)
    about = writer.CLAIMS["claim-lambda"].about
    *rows, last = results["rows"]
    with pytest.raises(SystemExit, match="each of the seeds"):
        writer.measured(results_of(results | {"rows": rows}), about)
    rows.append(last | {"status": "failed"})
    with pytest.raises(SystemExit, match="failed: run the recipe again"):
        writer.measured(results_of(results | {"rows": rows}), about)


def test_the_page_is_what_the_figures_say(writer: ModuleType) -> None:
    kept, page = DOCS / "claims.json", DOCS / "claims.md"
    assert kept.exists() == page.exists(), "run docs/write_claims.py"
    if kept.exists():
        assert writer.page(writer.load(kept)) == page.read_text(encoding="utf-8")
