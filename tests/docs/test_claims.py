"""docs/claims.md: its figures, its rules on made-up runs, its page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
def writer(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("write_claims")


@pytest.fixture(scope="module")
def figures(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("claims.figures")


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
        found[f"retain.{track}.rouge_l"] = score(kept, 1.0, 1.0)
        found[f"forget.{track}.garbage_rate"] = score(0.1, 0.0, 0.0)
        found[f"forget.{track}.forget_quality"] = score(1e-8, 1.0, 1e-20)
    return found


def a_row(
    method: str, seed: int, scores: Any, run: MethodPart | None = None, modality: str = "both"
) -> dict[str, Any]:
    training = (run.train if run else TrainSettings(steps=1)).model_dump(mode="json")
    word = "undecided" if seed == 1 else "did not"
    return {
        "id": f"{method}-{seed}", "method": method, "model": "vision-language",
        "modality": modality, "share": 0.2, "seed": seed, "gold": f"gold-{seed}",
        "variant": {"rank": training["lora_rank"], "penalty": training["penalty"]},
        "hyperparameters": run.hyperparameters if run else {}, "training": training,
        "protocol": "clear", "status": "ok", "reason": "", "cost": {}, "scores": scores,
        "verdict": {"word": word, "version": "1", "modality": modality, "findings": []},
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
    about = {"name": name, "identity": recipe(name).identity}
    return {"schema": 2, "recipe": about, "environment": environment, "rows": rows}


def results_of(content: dict[str, Any]) -> Results:
    return Results.parse(content, "made up")


def judged(writer: ModuleType, name: str, effect: Effect) -> tuple[str, list[bool]]:
    claim = writer.CLAIMS[name]
    found = writer.measured(results_of(made_up(name, effect)), claim.about)
    checks = claim.checks(writer.from_json(json.loads(json.dumps(found.json()))))
    return writer.rules.verdict(checks), [check.holds for check in checks]


def penalised(run: MethodPart) -> float:
    return run.train.penalty.strength if run.train.penalty else 0.0


def test_figures_are_shares_of_the_way_to_gold(figures: ModuleType) -> None:
    gold = Row.model_validate(a_row("gold", 0, scores({"text": 1.0, "image": 1.0}, 1.0)))
    run = Row.model_validate(a_row("npo", 0, scores({"text": 0.25, "image": 1.4}, 0.7)))
    found = figures.figures(run, gold)
    assert found["forgotten.text"] == pytest.approx(0.25)
    assert found["distance.text"] == pytest.approx(0.75)
    assert (found["forgotten.image"], found["kept"]) == (1.0, 0.7)
    garbled = scores({"text": 0.25, "image": 1.4}, 0.7)
    garbled["retain.image.rouge_l"]["value"] = 0.4
    garbled_run = Row.model_validate(a_row("npo", 0, garbled))
    assert figures.figures(garbled_run, gold)["kept"] == 0.4
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


def l1_saves_what_one_seed_kept(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
    return 1.0, 0.95 if penalised(run) else 0.799


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [
        (l1_saves, "confirmed"),
        (l1_saves_somewhere, "mixed"),
        (l1_pins_to_the_original, "not confirmed"),
        (l1_saves_what_was_not_lost, "not testable"),
        (l1_saves_what_one_seed_kept, "not testable"),
    ],
)
def test_l1_saves_only_what_was_lost_and_if_as_much_is_forgotten(
    writer: ModuleType, effect: Effect, verdict: str
) -> None:
    assert judged(writer, "claim-l1", effect)[0] == verdict


def test_all_weights_may_keep_and_the_claim_about_lora_is_tested(writer: ModuleType) -> None:
    def lora_alone_loses(run: MethodPart, modality: str, track: str) -> tuple[float, float]:
        return 1.0, 0.9 if penalised(run) or run.train.lora_rank is None else 0.2

    assert judged(writer, "claim-l1", lora_alone_loses) == ("confirmed", [True] * 3)


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


def write_runs(writer: ModuleType, folder: Path, effects: dict[str, Effect]) -> str:
    (folder / "images").mkdir(exist_ok=True)
    for name, effect in effects.items():
        (folder / name).mkdir()
        (folder / name / "results.json").write_text(json.dumps(made_up(name, effect)))
    runs = [str(folder / name) for name in reversed(effects)]
    writer.main(runs, folder, lambda name: f"{name[-2:]}12 (2026-01-02)")
    return (folder / "claims.md").read_text(encoding="utf-8")


def test_runs_become_figures_a_page_and_plots(writer: ModuleType, tmp_path: Path) -> None:
    effects = (l1_saves_somewhere, own_track_alone, as_clear_says, traded)
    page = write_runs(writer, tmp_path, dict(zip(NAMES, effects, strict=True)))
    assert page == writer.page(writer.load(tmp_path / "claims.json"))
    assert [page.count(f"**Verdict: {v}.**") for v in ("mixed", "confirmed")] == [1, 3]
    assert page.count("| did not x2, undecided x1 |") == 14 + 15 + 22 + 9
    assert " ".join(page.split()).count("commit l112 (2026-01-02).") == 1
    for name in NAMES:
        assert f"](images/{name}.png)" in page
        assert (tmp_path / "images" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_seen_is_said_from_the_figures(writer: ModuleType, tmp_path: Path) -> None:
    effects = (l1_saves_what_was_not_lost, both_worse_on_text, as_the_rate_says, traded)
    page = " ".join(write_runs(writer, tmp_path, dict(zip(NAMES, effects, strict=True))).split())
    assert "| L1 on LoRA weights saves the retain set | not testable | none counts |" in page
    assert "LoRA without L1: kept 0.85 (0.85 to 0.85), forgotten 1.00" in page
    assert "keeps more: sum 1e-6, sum 1e-5, sum 1e-4, sum 1e-3, sum 1e-2 and mean 1e-2." in page
    assert "is 0.00 in the median and at most 0.00" in page
    assert "0 of 5 on text and 0 of 5 on image" in page
    assert "At rate 5e-4: forgot little and kept: GA, GD, KL, RMU" in page
    assert "At rate 1.5e-3: forgot and destroyed: GA, GD, KL, RMU" in page
    assert "The same at every rate: none." in page
    assert "that forgot with every seed: 0, 0.25, 0.5, 1, 2, 4, 8 and 16; that kept: 32;" in page
    assert "that did both: none." in page


def test_figures_that_name_no_commit_are_left_out(writer: ModuleType, tmp_path: Path) -> None:
    write_runs(writer, tmp_path, {"claim-lambda": traded})
    kept = tmp_path / "claims.json"
    content = json.loads(kept.read_text())
    assert [*writer.load(kept)] == ["claim-lambda"]
    del content["claim-lambda"]["fixed"]
    kept.write_text(json.dumps(content))
    assert writer.load(kept) == {}


def test_a_run_of_another_version_of_the_recipe_is_refused(
    writer: ModuleType, tmp_path: Path
) -> None:
    results = made_up("claim-lambda", traded)
    results["recipe"]["identity"] = "another"
    (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.raises(SystemExit, match="another version of 'claim-lambda'"):
        writer.read_run(tmp_path, str)


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
    found = writer.load(kept)
    if not found:
        pytest.skip("docs/claims.json is of earlier rules: run docs/write_claims.py RUN...")
    assert writer.page(found) == page.read_text(encoding="utf-8")
