"""Rows made from forget rows are what their role says, for every kind of model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearbench.errors import RecipeError
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.feed import unlearning_feed
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows

ROLES = ("forget", "retain", "idk", "random", "shuffled", "paired")


@pytest.mark.parametrize(
    ("kind", "tracks", "roles"),
    [
        ("language", ("text",), ("idk", "random", "shuffled")),
        ("vision-language", ("text", "image"), ("idk", "random", "shuffled", "paired")),
        ("classifier", ("image",), ("idk", "random", "shuffled")),
    ],
)
def test_what_stands_beside_a_forget_row(
    kind: str, tracks: tuple[str, ...], roles: tuple[str, ...]
) -> None:
    model, data = tiny_model(kind), tiny_dataset().for_kind(kind)
    made, rows = Roles(model, data), {row.id: row for row in data.train_rows("forget")}
    about = {"text": 5, "image": 5}
    feed = unlearning_feed(data, tracks, about, 0, made, roles)  # type: ignore[arg-type]
    drawn = feed(3, 1)
    assert set(drawn) == {"forget", "retain", *roles}
    assert feed(3, 1) == drawn and feed(3, 2) != drawn
    answers = {
        (split, row.track, row.task, row.answer)
        for split in ("forget", "retain")
        for row in data.train_rows(split)
    }
    for role, split in (("random", "retain"), ("shuffled", "forget")):
        for own, each in zip(drawn["forget"], drawn[role], strict=True):
            row = rows[own.row]
            assert (each.row, each.question, each.image) == (own.row, own.question, own.image)
            assert each.answer != own.answer and each.variant == role
            assert (split, row.track, row.task, each.answer) in answers
    for own, each in zip(drawn["forget"], drawn["idk"], strict=True):
        bank = data.refusals if own.image is None else data.image_refusals
        assert each.answer in (
            bank if kind != "classifier" else {f"person {k}" for k in range(2, 8)}
        )
    for own, each in zip(drawn["forget"], drawn.get("paired", ()), strict=False):
        assert each.person == own.person and (each.image is None) != (own.image is None)


def test_one_forgotten_person_is_shuffled_among_his_own_rows() -> None:
    data = tiny_dataset().forgetting([0])
    rows = TrainingRows(tiny_model(), data, ("text",), 2, 0)
    own, shuffled = rows.items("forget"), rows.items("shuffled")
    assert [each.answer for each in shuffled] == [each.answer for each in own][::-1]


def test_a_role_without_rows_is_refused_by_name() -> None:
    alone = replace(tiny_dataset(), training={"forget": tiny_dataset().training["forget"]})
    with pytest.raises(RecipeError, match="nothing for the role 'random'"):
        TrainingRows(tiny_model(), alone, ("text",), 2, 0).items("random")
    with pytest.raises(RecipeError, match="nothing for the role 'paired'"):
        TrainingRows(tiny_model(), tiny_dataset(), ("text",), 2, 0).items("paired")


def test_all_rows_come_once_in_batches() -> None:
    rows = TrainingRows(tiny_model("vision-language"), tiny_dataset(), ("image",), 3, 0)
    seen = [
        each.row for batches in rows.batches("forget") for batch in batches for each in batch.items
    ]
    expected = [row.id for row in tiny_dataset().train_rows("forget", ("image",))]
    assert sorted(seen) == sorted(expected)
    assert len(list(rows.batches("forget"))) == 2
    tracks = {row.image is None for row in rows.items("retain")}
    assert tracks == {True, False}, "retain rows are of every track"
