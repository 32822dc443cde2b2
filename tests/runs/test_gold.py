"""A gold by epochs reads each row that is left as often as its original did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clearbench.data.dataset import Dataset
from clearbench.data.halves import in_half
from clearbench.runs.gold import gold_settings
from clearbench.runs.plan import plan
from clearbench.runs.plan_shadows import HalfData, ShadowPeople
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.stages.data import StoredData
from clearbench.testing import tiny_dataset
from clearbench.training.settings import TrainSettings

TEACH = {"steps": 24, "batch_size": 4, "parts": ["projector"]}


def of_lengths(texts: dict[int, int], images: dict[int, int]) -> Dataset:
    """The tiny people with so many training rows of questions and of images each."""
    data = tiny_dataset()
    rows = [row for split in ("forget", "retain") for row in data.training[split]]
    copies = tuple(
        row.model_copy(update={"id": f"{row.id}-{number}"})
        for track, counts in (("text", texts), ("image", images))
        for person, count in counts.items()
        for row in [next(r for r in rows if r.person == person and r.track == track)]
        for number in range(count)
    )
    forget = tuple(row for row in copies if row.person == 0)
    retain = tuple(row for row in copies if row.person != 0)
    return replace(data, training={"forget": forget, "retain": retain}, evaluation={})


#: Person 0, who is left out, has 6 of 8 questions, and 1 of 4 images.
UNEQUAL = of_lengths({0: 6, 2: 1, 3: 1}, {0: 1, 2: 3})


@pytest.mark.parametrize(
    ("kind", "batches", "steps"),
    [
        ("language", {}, 6),  # 2 of 8 questions are left; half of the people are
        ("classifier", {}, 18),  # 3 of 4 images
        ("vision-language", {}, 12),  # (4 * 2/8 + 4 * 3/4) of 8 rows of a step
        ("vision-language", {"image_batch_size": 12}, 15),  # (4 * 2/8 + 12 * 3/4) of 16
        ("vision-language", {"steps": 1}, 1),
    ],
)
def test_epochs_are_counted_in_rows_as_batches_draw_them(
    kind: Any, batches: dict[str, int], steps: int
) -> None:
    teach = TrainSettings.of(**TEACH | batches)
    made = gold_settings(teach, "epochs", UNEQUAL, kind, (0,))
    assert made == teach.model_copy(update={"steps": steps})
    assert gold_settings(teach, "steps", UNEQUAL, kind, (0,)) == teach


def test_rows_that_are_never_trained_on_do_not_count() -> None:
    kept = [row.model_copy(update={"held_out": True}) for row in UNEQUAL.training["retain"]]
    data = replace(UNEQUAL, training=UNEQUAL.training | {"retain": tuple(kept)})
    assert gold_settings(TrainSettings.of(**TEACH), "epochs", data, "language", (0,)).steps == 1


def test_a_modality_of_the_forgotten_alone_is_not_drawn() -> None:
    """Images of person 0 alone: gold reads 2 of 8 questions, as often as its original."""
    data = of_lengths({0: 6, 2: 1, 3: 1}, {0: 4})
    made = gold_settings(TrainSettings.of(**TEACH), "epochs", data, "vision-language", (0,))
    assert made.steps == 6


def test_equal_rows_give_the_share_of_the_people() -> None:
    for kind in ("language", "vision-language", "classifier"):
        made = gold_settings(TrainSettings.of(**TEACH), "epochs", tiny_dataset(), kind, (0, 1))
        assert made.steps == 24 * 6 / 8


def test_golds_of_shadow_models_follow_the_recipe() -> None:
    """Of the four people of a half two are forgotten, of the eight of the recipe two."""
    teach = {**TEACH, "steps": 40}
    language = {**teach, "parts": ["language"], "lora_rank": 2}
    recipe = {
        "name": "shadows",
        "data": {"people": 8, "forget": 2, "half": "first"},
        "models": {
            "classifier": {"head": "projected_margin", "teach": teach, "gold_schedule": "epochs"},
            "language": {"teach": language, "gold_schedule": "epochs"},
        },
        "shadows": {
            "classifier": {"models": 6, "heads": True, "teach": {**teach, "steps": 60}},
            "language": {"models": 6},
        },
        "attacks": [{"attack": "u_lira"}],
        "runs": [
            {"method": "npo", "model": "language", "modality": "text", "train": language},
            {"method": "retrain", "model": "classifier", "modality": "image", "train": teach},
        ],
    }
    data, stored = tiny_dataset(), StoredData("data", "rows", ("text", "image"))
    first, second = (HalfData(stored, in_half(data, which)) for which in ("first", "second"))
    people = ShadowPeople(stored, (first, second))
    families = plan(parse_recipe(recipe, "test"), data, stored, people)
    heads, models = ({row.method: row for row in family.rows} for family in families)
    steps = {
        name: [half.train.steps for half in row.attacks["u_lira"].ours.matched.halves]
        for name, row in heads.items()
    }
    assert steps == {"original": [60, 60], "gold": [30, 30], "retrain": [30, 30]}
    assert heads["gold"].model.train.steps == models["gold"].model.train.steps == 30
    npo = models["npo"].attacks["u_lira"]
    for stage, expected in ((npo.gold, 20), (npo.original, 40)):
        assert {shadow.stage.model.train.steps for shadow in stage.shadows} == {expected}
    assert {shadow.stage.model.start.train.steps for shadow in npo.ours.shadows} == {40}
