"""docs/methods/results.md on made-up runs: words, shortfalls, ranks, seeds that diverged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.methods.base import methods
from clearbench.runs.choose import shortfall
from clearbench.runs.recipe import load_recipe
from clearbench.runs.schema import Results

Json = dict[str, Any]
SCORE = {"n": 8, "clusters": 8, "direction": "gold", "value": 0.4, "gold": 0.2, "original": 0.9}


@pytest.fixture(scope="module")
def writer(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("write_methods")


@pytest.fixture(scope="module")
def ranks(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("method_pages.ranks")


def a_finding(key: str, kind: str, outcome: str, **about: Any) -> Json:
    return {"key": key, "kind": kind, "outcome": outcome, "margin": 0.3, "rows": 8, **about}


def a_verdict(word: str, left: float, kept: float) -> Json:
    """Two kinds of facts left, one of them shunned; one thing half lost, one gained."""
    fails = "fails" if word == "did not" else "holds"
    findings = [
        a_finding("forget.text.probability", "left", fails, estimate=left),
        a_finding("forget.image.probability", "left", "holds", estimate=-left),
        a_finding("forget.text.whole_truth", "excess", "open", run=0.25, gold=0.0, original=1.0),
        a_finding("retain.text.probability", "kept", fails, estimate=kept),
        a_finding("retain.image.probability", "kept", "holds", estimate=1.5),
    ]
    return {"word": word, "version": "1", "modality": "both", "findings": findings}


def a_row(method: str, seed: int, left: float, word: str = "did not", **about: Any) -> Json:
    """A run with a distance of `left` and a mean loss of .05: its shortfall is left + .1."""
    return {
        "id": f"{method}-{seed}", "method": method, "model": "vision-language",
        "modality": "both", "share": 0.2, "seed": seed, "gold": f"gold-{seed}", "variant": {},
        "hyperparameters": {}, "training": {"steps": 30, "learning_rate": 1e-3},
        "protocol": "clear", "status": "ok", "reason": "",
        "cost": {"seconds": 2.04 + seed, "measuring_seconds": 9.0},
        "scores": {"forget.text.probability": SCORE}, "verdict": a_verdict(word, left, 0.9),
    } | about  # fmt: skip


def diverged(method: str, seed: int) -> Json:
    gone: Json = {"status": "diverged", "reason": "the loss was not finite", "scores": {}}
    return a_row(method, seed, 0.0, verdict=None, **gone)


def over(method: str, lefts: Sequence[float], **about: Any) -> list[Json]:
    return [a_row(method, seed, left, **about) for seed, left in enumerate(lefts)]


def results_of(rows: Sequence[Json]) -> Results:
    environment = {
        "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
        "workers": 1, "threads_per_worker": 1,
    }  # fmt: skip
    content = {"schema": 2, "recipe": {"name": "all-methods"}, "environment": environment}
    return Results.parse(content | {"rows": list(rows)}, "made up")


def some_runs() -> list[Json]:
    words = ("undecided", "did not", "undecided")
    npo = [a_row("npo", seed, 0.5 + 0.1 * seed, word) for seed, word in enumerate(words)]
    faces = {"model": "classifier", "modality": "image"}
    return [
        a_row("gold", 0, 0.0),
        *over("retrain", (0.0, 0.0, 0.0), word="forgot"),
        *over("idk", (0.1, 0.1, 0.1), hyperparameters={"retain_weight": 3.14159}),
        *npo,
        a_row("rmu", 0, 0.0), diverged("rmu", 1), a_row("rmu", 2, 0.0),
        *over("eco", (0.8, 0.8, 0.8), modality="text"),
        *over("npo", (0.2, 0.2, 0.2), word="forgot", **faces),
    ]  # fmt: skip


def test_the_shortfall_is_distance_plus_twice_the_mean_loss() -> None:
    verdict = Verdict.model_validate(a_verdict("did not", 0.3, 0.9))
    assert shortfall(verdict) == pytest.approx(0.3 + 2 * (0.1 + 0.0) / 2)
    assert shortfall(Verdict.model_validate(a_verdict("did not", 0.3, 1.1))) == 0.3
    unmeasured = verdict.model_copy(update={"findings": verdict.findings[3:]})
    assert shortfall(unmeasured) == float("inf")


def test_a_rank_counts_who_is_surely_better_and_who_is_not_surely_worse(ranks: ModuleType) -> None:
    """By hand, with t(.975, 2) = 4.303: the second is .2 +- .43 above the first (differences .1,
    .1, .4) and .1 +- .43 below the third (.2, .2, -.1), whose distance of .3 to the first is sure.
    """
    found = ranks.ranks([(0.0, 0.0, 0.0), (0.1, 0.1, 0.4), (0.3, 0.3, 0.3)])
    assert [str(rank) for rank in found] == ["1 (1 to 2)", "2 (1 to 3)", "3 (2 to 3)"]


def test_differences_are_paired_and_lost_seeds_are_last(ranks: ModuleType) -> None:
    """The first two differ by .1 with every seed, .1 +- .02, far less than seeds differ."""
    values = [(0.2, 0.5, 0.9), (0.1, 0.41, 0.79), (0.0, None, 0.0), (None, None, None)]
    found = [str(rank) for rank in ranks.ranks(values)]
    assert found == ["2 (2 to 2)", "1 (1 to 1)", "3 (3 to 4)", "3 (3 to 4)"]


def test_equal_methods_and_two_seeds_are_never_sure(ranks: ModuleType) -> None:
    assert {str(rank) for rank in ranks.ranks([(0.2, 0.5, 0.9)] * 3)} == {"1 (1 to 3)"}
    assert [str(r) for r in ranks.ranks([(0.1, 0.1), (0.9, 0.9)])] == ["1 (1 to 2)", "2 (1 to 2)"]


def test_what_is_kept_of_the_seeds(writer: ModuleType) -> None:
    settings = {(s.method, s.model): s for s in writer.measured(results_of(some_runs()))}
    npo = settings["npo", "vision-language"]
    assert npo.words == "undecided x2, did not x1" and npo.shortfalls == (0.6, 0.7, 0.8)
    assert npo.seconds == pytest.approx(3.04) and npo.kept == 0.9 and npo.stopped == "no"
    scores = npo.scores(lambda key: True)
    assert scores.keys() == {"forget.text.probability", "forget.text.whole_truth"}
    assert scores["forget.text.probability"] == pytest.approx((0.4, 0.2, 0.9))
    assert scores["forget.text.whole_truth"] == (0.25, 0.0, 1.0)
    mean = npo.estimate("shortfall")
    assert (mean.mean, mean.high - mean.mean) == pytest.approx((0.7, 4.3027 * 0.1 / 3**0.5), 1e-4)
    assert npo.runs[1].judged.failing[0] == "Probability, text"
    rmu = settings["rmu", "vision-language"]
    assert rmu.words == "did not x2, diverged x1" and rmu.shortfalls == (0.1, None, 0.1)
    assert rmu.estimate("shortfall") is rmu.kept is None and rmu.scores(lambda key: True) == {}


def test_who_may_stop_early_or_is_repaired_is_said(writer: ModuleType) -> None:
    until = {"text": 0.65, "repair": 8}
    training = {"steps": 30, "until": until}
    (setting,) = writer.measured(results_of(over("npo", (0.1, 0.2, 0.3), training=training)))
    assert setting.stopped == "may stop, 8 steps of repair"
    page = " ".join(writer.results.page([setting]).split())
    assert "1 of 1 settings could stop early or were repaired" in page


def test_the_table_is_sorted_and_gold_stands_apart(writer: ModuleType) -> None:
    page = writer.results.page(writer.measured(results_of(some_runs())))
    table, faces = page.split("## Vision-language model")[1].split("## Classifier")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| [")]
    assert [row[0].split("]")[0] for row in rows] == ["| [idk", "| [npo", "| [eco", "| [rmu"]
    assert [row[2] for row in rows] == ["1 (1 to 1)", "2 (2 to 3)", "3 (2 to 3)", "4 (4 to 4)"]
    assert rows[0][1] == "did not x3" and rows[0][3] == "0.20 (0.20 to 0.20)"
    assert rows[0][6] == "Probability, text (3 of 3, as 1 other)"
    assert rows[0][7:] == ["3.0", "no", "learning rate 0.001, retain_weight 3.14 |"]
    assert rows[2][0] == "| [eco](eco.md) (text)" and rows[2][9] == " |"
    assert rows[3][1:6] == ["did not x2, diverged x1", "4 (4 to 4)", "", "", ""]
    assert "neither word nor rank: [retrain](retrain.md)" in table
    assert "| forgot x3 | 1 (1 to 1) | 0.30" in faces
    assert "Of 15 runs: 3 forgot, 2 undecided, 9 did not, 1 diverged." in page
    page = " ".join(page.split())
    assert "30 steps (vision-language) and 30 steps (classifier)" in page
    assert "No run could stop early or was repaired" in page


def test_a_method_s_page_shows_means_or_why_there_are_none(writer: ModuleType) -> None:
    settings = writer.measured(results_of(some_runs()))
    own = [setting for setting in settings if setting.method == "npo"]
    section = writer.page(methods()["npo"], own).split("## On the demo world")[1]
    assert "text.probability 0.40 / 0.20 / 0.90" in section
    assert "text.whole_truth 0.25 / 0.00 / 1.00" in section
    assert "- classifier, image: learning rate 0.001; 30 steps\n" in section
    own = [setting for setting in settings if setting.method == "rmu"]
    section = writer.page(methods()["rmu"], own).split("## On the demo world")[1]
    assert "both: seed 1 diverged (the loss was not finite)." in section
    own = [setting for setting in settings if setting.method == "retrain"]
    assert "| both | gold |" in writer.page(methods()["retrain"], own)


def test_a_setting_without_each_seed_once_is_refused(writer: ModuleType) -> None:
    rows = some_runs()
    for wrong in (rows[:-1], [*rows, rows[-1]]):
        with pytest.raises(SystemExit, match="npo, classifier, image: does not have each of the"):
            writer.measured(results_of(wrong))


def test_what_was_measured_is_read_again(writer: ModuleType, tmp_path: Path) -> None:
    settings = writer.measured(results_of(some_runs()))
    writer.dump(settings, tmp_path / "measured.json")
    assert writer.load(tmp_path / "measured.json") == settings
    (tmp_path / "old.json").write_text(json.dumps([{"method": "npo", "ended": None}]))
    with pytest.raises(SystemExit, match=r"write_methods\.py RUN"):
        writer.load(tmp_path / "old.json")


def test_the_search_is_as_the_page_says() -> None:
    runs = load_recipe("search-methods").runs
    counts = Counter((run.model, run.method) for run in runs)
    assert {key for key, count in counts.items() if count != 4} == {
        ("vision-language", "guardrail")
    }
    assert not any(run.train.until for run in runs)
    for model in ("vision-language", "classifier"):
        assert len({run.train.steps for run in runs if run.model == model} - {1}) == 1
