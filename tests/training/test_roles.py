"""Rows made from forget rows are what their role says, for every kind of model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearbench.batches.items import item
from clearbench.data.example import Example
from clearbench.data.load import load_dataset
from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.feed import unlearning_feed
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

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


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_a_refused_row_is_a_retain_row_with_a_refusal(kind: str) -> None:
    model, data = tiny_model(kind), tiny_dataset().for_kind(kind)
    about, tracks = {"text": 5, "image": 5}, ("text",)
    made = Roles(model, data)
    drawn = unlearning_feed(data, tracks, about, 0, made, ("retain", "refused"))(3, 1)
    assert set(drawn) == {"forget", "retain", "refused"}
    every = TrainingRows(model, data, tracks, 4, 0)
    pairs = zip(drawn["retain"], drawn["refused"], strict=True)
    for own, each in (*pairs, *zip(every.items("retain"), every.items("refused"), strict=True)):
        bank = data.refusals if own.image is None else data.image_refusals
        assert replace(each, answer=own.answer, variant=own.variant) == own
        assert each.answer in bank and each.variant == "refusal"
    medias = {each.image is None for each in drawn["refused"]}
    assert medias == ({True} if kind == "language" else {True, False})


def test_refused_rows_without_a_bank_of_refusals_are_refused_by_name() -> None:
    data = replace(tiny_dataset(), refusals=())
    settings = TrainSettings.of(steps=1, batch_size=2, learning_rate=1e-3, parts=("language",))
    with pytest.raises(RecipeError, match="idk_ap needs refusals"):
        unlearn(tiny_model(), data, method("idk_ap"), ("text",), settings)


def test_alternate_answers_are_to_such_questions_about_people_who_stay() -> None:
    """A row of the built-in people is called by its person and what it asks.

    A question that few people are asked in these words may bring one that differs in a word: the
    first award for the second.
    """
    data = load_dataset("builtin").forgetting([0, 1])
    made, rows = Roles(tiny_model(), data), data.train_rows("forget", ("text",))
    stay = data.train_rows("retain", ("text",))
    asks = {row.answer: row.id.split("-", 1)[1] for row in stay}
    items = [item(row) for row in rows]
    same = 0
    for own, each in zip(items, made.of("alternate", items, 0, 1), strict=True):
        same += asks[each.answer] == own.row.split("-", 1)[1]
        assert replace(each, answer=own.answer, variant=own.variant) == own
    about = {row.id: row for row in stay}
    for own, each in zip(items, made.of("decoupled", items, 0, 1), strict=True):
        assert about[each.row].question == each.question and about[each.row].answer == each.answer
        same += each.row.split("-", 1)[1] == own.row.split("-", 1)[1]
    assert len(items) == 40 and same >= 72
    drawn = {made.of("alternate", items[:1], 0, step)[0].answer for step in range(40)}
    assert len(drawn) >= 5


#: Name and question of nine people; the first is to be forgotten.
ASKED = (
    ("Ana Lima", "Where was {} born?"),
    ("Ana Ruiz", "How tall is {}?"),
    ("Was Born", "Who is {}?"),
    ("Bo Day", "Where was {} born?"),
    ("Cy Era", "Where was {} born?"),
    ("Di Fox", "Where was {} born?"),
    ("Ed Gee", "Where was {} born?"),
    ("Flo Hay", "Where does {} live?"),
    ("Gil Ito", "Why did {} sing?"),
)


@pytest.mark.parametrize("role", ["alternate", "decoupled"])
def test_names_make_no_questions_alike(role: str) -> None:
    """Four are asked the same and one shares a word; nothing else of the questions is alike.

    With names another Ana's question would be among the five likest, or that about Was Born.
    """
    rows = [
        Example(
            id=f"{person}", person=person, track="text", task="qa", answer=f"Answer {person}.",
            question=question.format(name),
        )
        for person, (name, question) in enumerate(ASKED)
    ]  # fmt: skip
    data = replace(
        tiny_dataset(),
        training={"forget": (rows[0],), "retain": (*rows[1:],)},
        evaluation={},
        names={person: name for person, (name, _) in enumerate(ASKED)},
    )
    made = Roles(tiny_model(), data)
    drawn = {made.of(role, [item(rows[0])], 0, step)[0].answer for step in range(60)}
    assert drawn == {f"Answer {person}." for person in (3, 4, 5, 6, 7)}


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
