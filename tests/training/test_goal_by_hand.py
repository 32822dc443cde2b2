"""What a goal does at given answer probabilities: when tracks are forgotten, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from clearbench.batches.items import Item
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.stages import Train
from clearbench.methods.step import Step
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training import goal as goals
from clearbench.training.goal import REPAIR, Goal, Reached
from clearbench.training.roles import DERIVED
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import Until


class Told:
    """Answer probabilities by track, in place of a model's: strangers' are .2."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = {"text": 0.8, "image": 0.6}
        monkeypatch.setattr(goals, "probability", self)

    def __call__(self, _: Model, items: Sequence[Item]) -> float:
        (track,) = {each.track for each in items}
        return 0.2 if items[0].row.startswith("stranger") else self.now[track]


def loss(step: Step) -> dict[str, Term]:
    return {"retain": cross_entropy(step.model.answers(step.retain))}


def goal(tracks: tuple[str, ...] = ("text", "image"), **until: Any) -> Goal:
    known = tiny_dataset()
    strangers = tuple(
        row.model_copy(update={"id": f"stranger-{row.id}", "person": 99})
        for row in known.training["retain"]
    )
    data = replace(known, evaluation=known.evaluation | {"holdout": strangers})
    rows = TrainingRows(tiny_model("vision-language"), data, tracks, 4, 0)
    return Goal(rows, Until(**until))


def test_every_track_is_forgotten_at_a_share_of_its_own_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half the way from .8 to .2 is .5; three quarters of that from .6 to .2 are .3."""
    told = Told(monkeypatch)
    both, reached = goal(text=0.5, image=0.75, repair=4), Reached()
    for step, text, image, found in (
        (3, 0.51, 0.31, {}),
        (4, 0.1, 0.1, {}),
        (6, 0.5, 0.31, {"text": 6}),
        (9, 0.9, 0.5, {"text": 6}),
        (12, 0.9, 0.29, {"text": 6, "image": 12}),
        (15, 0.1, 0.1, {"text": 6, "image": 12}),
    ):
        told.now = {"text": text, "image": image}
        both.note_reached(step, reached)
        assert reached == found, f"step {step}; others than every third are not looked at"
        assert not both.is_over(step, reached)
    assert [step for step in range(12, 19) if both.is_over(step, reached)] == [16, 17, 18]
    assert goal(text=0.5, image=0.5).is_over(12, reached), "without repair it is over at once"


@pytest.mark.parametrize(
    ("reached", "left"),
    [
        ({}, ["text", "image", "text", "image"]),
        ({"text": 3}, ["image", "image"]),
        ({"image": 3}, ["text", "text"]),
    ],
)
def test_the_rows_of_a_forgotten_track_leave_the_step(
    reached: Reached, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that are made from them, one for one; retain rows and the loss stay."""
    Told(monkeypatch)
    tracks = ("text", "image", "text", "image")
    forget = [Item(f"{k}", "answer", "q", "a", track=track) for k, track in enumerate(tracks)]
    made = {role: [replace(each, variant=role) for each in forget] for role in DERIVED}
    stage = Train(loss)
    chosen, drawn = goal(text=0.5, image=0.5).narrow(
        stage, {"forget": forget, "retain": forget, "spared": forget, **made}, reached
    )
    assert chosen is stage
    assert {*drawn} == {"forget", "retain", "spared", *DERIVED}
    for role, rows in drawn.items():
        if role in ("retain", "spared"):
            assert rows == forget
        else:
            assert [each.track for each in rows] == left
            assert [each.row for each in rows] == [each.row for each in drawn["forget"]]


def test_repair_begins_when_the_last_track_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    Told(monkeypatch)
    rows = {"forget": [Item("1", "answer", "q", "a")], "retain": [Item("2", "answer", "q", "a")]}
    stage = Train(loss)
    for about, reached, repairs in (
        ({"text": 0.5, "image": 0.5}, {"text": 3, "image": 6}, True),
        ({"text": 0.5, "image": 0.5}, {"image": 6}, False),
        ({"text": 0.5}, {"text": 3}, False),
    ):
        found = goal(**about)
        assert (found.narrow(stage, rows, reached)[0] is REPAIR) == repairs
        assert found.is_over(99, reached) == repairs, "a track without a share is never done"
    assert goal(("text",), text=0.5).is_over(3, {"text": 3})
