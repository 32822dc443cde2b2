"""The choice of a schedule: which trial follows, which is chosen, on whom it is measured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clearbench.audit.invented import Invented
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.evidence.division import divided
from clearbench.evidence.floors import measured_floor
from clearbench.evidence.schema import Trial
from clearbench.evidence.search import (
    DIVERGED,
    GARBLES,
    HURT,
    TOO_LITTLE,
    TOO_MUCH,
    Search,
    following,
    searches,
    shortfall,
)
from clearbench.evidence.validation import place_of
from clearbench.methods.base import method
from clearbench.testing import tiny_model
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged

FIRST = TrainSettings(steps=10, learning_rate=0.01)


def trial(steps: int, rate: float, reason: str, place: float | None = 0.5) -> Trial:
    return Trial(number=1, steps=steps, learning_rate=rate, reason=reason, place=place, sentence="")


@pytest.mark.parametrize(
    ("before", "steps", "rate"),
    [
        ([], 10, 0.01),
        ([trial(10, 0.01, TOO_LITTLE)], 10, 0.04),
        ([trial(10, 0.01, TOO_MUCH, -1.0)], 10, 0.0025),
        ([trial(10, 0.01, GARBLES, 0.0)], 10, 0.0025),
        ([trial(10, 0.01, DIVERGED, None)], 10, 0.0025),
        ([trial(10, 0.01, HURT)], 10, 0.0025),
        ([trial(10, 0.01, TOO_LITTLE), trial(10, 0.04, TOO_MUCH, -1.0)], 10, 0.02),
        ([trial(10, 0.01, HURT), trial(10, 0.0025, TOO_LITTLE)], 10, 0.005),
        (
            [trial(10, 0.01, TOO_LITTLE), trial(10, 0.04, HURT), trial(10, 0.02, HURT)],
            10,
            0.02**0.5 / 10,
        ),
        ([trial(10, 0.01, GARBLES), trial(10, 0.0075, TOO_LITTLE)], 20, 0.0075**0.5 / 20),
        ([trial(80, 0.01, GARBLES), trial(80, 0.0075, TOO_LITTLE)], 40, 0.0075**0.5 / 5),
        ([trial(10, 0.01, HURT), trial(20, 0.02, TOO_LITTLE)], 20, 0.08),
    ],
)
def test_the_next_trial_goes_where_the_last_one_points(
    before: list[Trial], steps: int, rate: float
) -> None:
    chosen, _ = following(FIRST, before)
    assert (chosen.steps, chosen.learning_rate) == (steps, pytest.approx(rate))


@pytest.mark.parametrize(
    ("place", "kept", "garbled", "lacks"),
    [
        (1.0, 1.0, 0.0, 1.0),
        (0.0, 1.0, 0.0, 0.0),
        (-0.5, 1.1, -0.2, 0.5),
        (-9.0, 1.0, 0.0, 1.0),
        (0.0, 0.9, 0.25, 0.7),
        (None, None, None, 1.0),
    ],
)
def test_damage_counts_twice(
    place: float | None, kept: float | None, garbled: float | None, lacks: float
) -> None:
    tried = Trial(number=1, steps=1, learning_rate=1.0, place=place, kept=kept, garbled=garbled,
                  sentence="")  # fmt: skip
    assert shortfall(tried) == pytest.approx(lacks)


def test_a_place_lies_between_somebody_who_does_not_know_and_before() -> None:
    assert place_of(-0.1, -0.1, -2.1) == 1 and place_of(-0.1, -2.1, -2.1) == 0
    assert place_of(-0.1, -4.1, -2.1) == pytest.approx(-1)
    assert place_of(-2.0, -2.0, -2.05) is None


class Measured:
    """Validation that reads its numbers from what was made."""

    def place(self, model: Any) -> float:
        return float(model.place)

    def kept(self, model: Any) -> float:
        return float(model.kept)

    def garbled(self, model: Any) -> float:
        return 0.0


def searched(folder: Path, made: list[Any], budget: int = 4) -> tuple[Search, list[int], Any]:
    """A search in which trial N makes `made[N - 1]`; the numbers of what was made."""
    seen: list[int] = []

    def make(settings: TrainSettings, number: int) -> Any:
        seen.append(number)
        if made[number - 1] is None:
            raise Diverged({}, [], "not finite")
        return made[number - 1]

    search = Search(Measured(), FIRST, budget, make, lambda _: None, folder / "trials.json")  # type: ignore[arg-type]
    return search, seen, search.run()


def model(place: float, kept: float = 1.0) -> Any:
    return SimpleNamespace(place=place, kept=kept)


def test_a_search_ends_at_the_first_trial_that_is_good_enough(tmp_path: Path) -> None:
    made = [None, model(0.8), model(0.1), model(0.0)]
    search, seen, (settings, best, chosen) = searched(tmp_path, made)
    assert seen == [1, 2, 3] and best.number == 3 and chosen is made[2]
    assert settings.learning_rate == best.learning_rate == search.trials[2].learning_rate
    assert [each.reason for each in search.trials] == [DIVERGED, TOO_LITTLE, ""]


def test_the_best_trial_is_made_again_and_a_killed_search_goes_on(tmp_path: Path) -> None:
    made = [model(0.3), model(-0.9), model(0.6)]
    _, seen, (_, best, chosen) = searched(tmp_path, made, budget=3)
    assert seen == [1, 2, 3, 1] and best.number == 1 and chosen is made[0]
    _, seen, (_, best, _) = searched(tmp_path, made, budget=3)
    assert seen == [1] and best.number == 1, "finished trials are not made again"


@pytest.mark.parametrize(
    ("name", "kind", "yes"),
    [
        ("npo", "language", True),
        ("npo", "classifier", False),
        ("ssd", "language", False),
        ("guardrail", "language", False),
        ("retrain", "language", False),
    ],
)
def test_only_what_trains_the_model_is_searched(name: str, kind: str, yes: bool) -> None:
    assert searches(method(name), kind) == yes


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"person": f"Ana{k} Oma{k}", "question": f"Where was Ana{k} Oma{k} born?",
         "answer": f"Oma{k} was born in Oslo, and Ana{k} stayed."}
        for k in range(first, first + count)
    ]  # fmt: skip


@pytest.mark.parametrize(("forget", "apart", "chosen"), [(9, False, 9), (10, True, 2)])
def test_people_who_are_chosen_on_are_not_reported(forget: int, apart: bool, chosen: int) -> None:
    data: Dataset = load_dataset({"forget": rows(forget), "retain": rows(20, 50)})
    found = divided(data, tiny_model("language"), ("text",), seed=0)
    used = {row.person for row in found.forget}
    reported = {row.person for row in found.reported.evaluation["forget"]}
    assert (found.apart, len(used), found.people) == (apart, chosen, chosen)
    assert (not used & reported) == apart and len(used | reported) == forget
    kept = {row.person for row in found.retain}
    assert len(kept) == 4 and not kept & {r.person for r in found.reported.evaluation["retain"]}
    assert found.reported.training == data.training, "everybody is forgotten"


def test_names_are_replaced_by_names_that_nobody_bears() -> None:
    data: Dataset = load_dataset({"forget": rows(2)})
    (first, second) = Invented(data).renamed(data.train_rows("forget")).values()
    texts = first.question + first.answer
    assert "Ana0" not in texts and "Oma0" not in texts and "Oslo" in first.answer
    full = first.question.removeprefix("Where was ").removesuffix(" born?").split()
    assert first.answer == f"{full[1]} was born in Oslo, and {full[0]} stayed."
    assert first.question != second.question


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"forget": rows(2), "holdout": rows(1, 9)}, "holdout"),
        ({"forget": rows(2)}, "invented names"),
        ({"forget": [{"question": f"What {k}?", "answer": f"It is {k}."} for k in range(3)]},
         "other answers"),
        ({"forget": [{"question": "What?", "answer": "It."}]}, "other answers"),
    ],
)  # fmt: skip
def test_the_floor_is_what_is_there_to_show_a_guess(given: dict[str, Any], source: str) -> None:
    data: Dataset = load_dataset(given)
    forget = data.train_rows("forget")
    floor = measured_floor(tiny_model("language"), data, forget)
    assert floor.source == source and floor.mean < 0
    assert floor.of(forget[0]) == (
        floor.mean if source == "holdout" else floor.by_row[forget[0].id]
    )
