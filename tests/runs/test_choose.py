"""Settings are chosen on the validation people: what forgets, keeps the rest, and ended well."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from clearbench.errors import RecipeError
from clearbench.evaluation.verdict.finding import Finding
from clearbench.evaluation.verdict.verdict import Verdict, Word
from clearbench.runs.choose import as_recipe_runs, badness, best_runs, shortfall
from clearbench.runs.schema import Results, Row

ENVIRONMENT = {
    "python": "3", "machine": "x", "system": "x", "packages": {}, "accelerator": "none",
    "workers": 1, "threads_per_worker": 1,
}  # fmt: skip


def finding(kind: str, key: str, estimate: float) -> Finding:
    return Finding.model_validate(
        {"key": key, "kind": kind, "outcome": "holds", "margin": 0.3, "rows": 9, "people": 9,
         "estimate": estimate}
    )  # fmt: skip


def verdict(left: float | None, *kept: float, word: Word = "undecided") -> Verdict:
    """A run at a distance `left` from gold, which kept these shares of what must survive."""
    away = [] if left is None else [finding("left", "forget.text.probability", left)]
    stay = [finding("kept", f"retain.text.score_{k}", share) for k, share in enumerate(kept)]
    return Verdict(word=word, version="2", modality="text", findings=(*away, *stay))


def run(id: str, found: Verdict | None, **about: Any) -> Row:
    fields = {
        "id": id, "method": "npo", "model": "language", "modality": "text", "share": 0.1, "seed": 0,
        "variant": {"parts": ["language"]}, "hyperparameters": {}, "training": {"steps": 3},
        "gold": "g", "protocol": "clear", "status": "ok", "reason": "", "scores": {}, "cost": {},
    }  # fmt: skip
    return Row.model_validate(fields | about).model_copy(update={"verdict": found})


def searched(folder: Path, *rows: Row, fold: str = "validation") -> Path:
    about = {"name": "search", "data": {"fold": fold}}
    content = {"recipe": about, "environment": ENVIRONMENT, "rows": rows}
    Results.model_validate(content).write(folder / "results.json")
    return folder


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (verdict(0.0), 0.0),
        (verdict(1.0, 1.0), 1.0),
        (verdict(-0.25, 1.0), 0.25),
        (verdict(0.25, 0.5, 1.0), 0.25 + 2 * 0.25),
        (verdict(0.25, 1.5, 0.5), 0.25 + 2 * 0.25),
        (verdict(None, 0.5), math.inf),
    ],
)
def test_the_shortfall_is_the_distance_and_twice_the_mean_damage(
    found: Verdict, expected: float
) -> None:
    """What is kept beyond the original makes up for nothing; overshooting gold is a distance."""
    assert shortfall(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (verdict(0.1, 1.0), verdict(0.2, 1.0)),
        (verdict(0.2, 1.0), verdict(0.1, 0.8)),
        (verdict(0.5, word="forgot"), verdict(0.1)),
        (verdict(0.5), verdict(0.1, word="did not")),
        (verdict(0.7, 0.1, word="did not"), verdict(0.8, 1.0, word="forgot")),
        (verdict(0.75, 1.0, word="did not"), verdict(0.76, 1.0)),
        (verdict(0.9, 0.1), verdict(None, 1.0)),
        (verdict(0.9, 0.1), None),
    ],
)
def test_what_is_better(better: Verdict, worse: Verdict | None, tmp_path: Path) -> None:
    """Forgetting at all comes first, then the word, then the shortfall; in any order of rows."""
    good, bad = run("good", better), run("bad", worse)
    assert badness(good) < badness(bad)
    for rows in ((good, bad), (bad, good)):
        (chosen,) = best_runs(searched(tmp_path, *rows))
        assert chosen.id == "good"


def test_a_run_that_did_not_end_well_is_the_worst() -> None:
    poor = run("poor", verdict(0.7, 0.1, word="did not"))
    for status in ("failed", "diverged"):
        ended = run("x", verdict(0.0, 1.0, word="forgot"), status=status, reason="why")
        assert badness(poor) < badness(ended)


def test_each_model_method_modality_and_tower_has_its_own_best(tmp_path: Path) -> None:
    ways: list[dict[str, Any]] = [
        {},
        {"method": "dpo"},
        {"model": "vision-language"},
        {"model": "vision-language", "modality": "both"},
        {"model": "vision-language", "variant": {"parts": ["vision", "language"]}},
    ]
    rows = [run("original", verdict(0.0), method="original"), run("gold", None, method="gold")]
    for number, way in enumerate(ways):
        rows += [run(f"{number}-poor", verdict(0.6), **way), run(f"{number}", verdict(0.1), **way)]
    found = best_runs(searched(tmp_path, *rows))
    assert sorted(row.id for row in found) == ["0", "1", "2", "3", "4"]


def test_the_parts_of_a_classifier_are_one_way(tmp_path: Path) -> None:
    about: dict[str, Any] = {"model": "classifier", "modality": "image"}
    tower = run("tower", verdict(0.1), **about, variant={"parts": ["vision"]})
    head = run("head", verdict(0.2), **about, variant={"parts": ["language"]})
    assert [row.id for row in best_runs(searched(tmp_path, tower, head))] == ["tower"]


def test_several_seeds_are_chosen_by_their_joint_row(tmp_path: Path) -> None:
    rows = [run("a", verdict(0.0)), run("b", verdict(0.3))]
    means = [
        {**rows[k].model_dump(exclude={"seed", "attacks", "curve", "stages", "reference"}),
         "seeds": [0, 1], "rows": ["x"], "verdict": verdict(left)}
        for k, left in enumerate((0.5, 0.4))
    ]  # fmt: skip
    content = {
        "recipe": {"name": "search", "data": {"fold": "validation"}},
        "environment": ENVIRONMENT, "rows": rows, "combined": means,
    }  # fmt: skip
    Results.model_validate(content).write(tmp_path / "results.json")
    assert [row.id for row in best_runs(tmp_path)] == ["b"]


def test_settings_are_never_chosen_on_the_reported_people(tmp_path: Path) -> None:
    folder = searched(tmp_path, run("a", verdict(0.1)), fold="reported")
    with pytest.raises(RecipeError, match="never on the reported people"):
        best_runs(folder)


def test_the_chosen_settings_are_runs_of_a_recipe() -> None:
    row = run(
        "a", verdict(0.1), hyperparameters={"beta": 0.5}, modality="text",
        training={"steps": 7, "learning_rate": 0.002, "parts": ["language"]},
    )  # fmt: skip
    assert as_recipe_runs([row]) == [
        {
            "method": "npo",
            "model": "language",
            "modality": "text",
            "hyperparameters": {"beta": 0.5},
            "train": {"steps": 7, "learning_rate": 0.002, "parts": ["language"]},
        }
    ]
