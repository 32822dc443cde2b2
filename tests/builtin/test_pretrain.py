"""Pretraining: people of questions are new at every step, faces keep a name, public ones stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clearbench.batches.items import Item
from clearbench.builtin import pretrain as pretraining
from clearbench.builtin.pretrain import (
    Lessons,
    _jitter,
    caption_corpus,
    corpus,
    pretrain,
    stranger,
    train_tower,
)
from clearbench.builtin.tiny import tower_config
from clearbench.data.made_up import make_world, world_rows
from clearbench.data.modalities.image import CAPTION_QUESTIONS, NAME_QUESTION
from clearbench.models.token_resnet import TokenResNet
from clearbench.people.portraits import Portrait
from clearbench.people.refusals import TEXT_REFUSALS
from clearbench.people.shipped import IDENTITIES, builtin_pool

STEPS = 12


@pytest.fixture(scope="module")
def practice() -> list[Portrait]:
    """Views of the first five people: some of each, none of the others."""
    return [p for p in builtin_pool() if p.identity < 5 and p.kind == "view"]


@pytest.fixture(scope="module")
def lessons(practice: list[Portrait]) -> Lessons:
    return Lessons(make_world(builtin_pool(), people=1, strangers=0, seed=0), practice, 0)


@pytest.fixture(scope="module")
def drawn(lessons: Lessons) -> list[list[Item]]:
    return [lessons(0, step)["retain"] for step in range(STEPS)]


def test_a_step_is_a_function_of_seed_and_step(lessons: Lessons, drawn: list[list[Item]]) -> None:
    assert lessons(0, 3)["retain"] == drawn[3] != drawn[4]
    assert lessons(1, 3)["retain"] != drawn[3]
    assert [*lessons(0, 0)] == ["retain"]


def test_a_step_has_its_share_of_everything(lessons: Lessons, drawn: list[list[Item]]) -> None:
    """83 items: 30 questions about new people, 17 about the world, 4 drawings, 32 faces."""
    known, facts = {i.key for i in lessons.words}, {i.key for i in lessons.facts}
    drawings = {i.key for i in lessons.drawings}
    for items in drawn:
        streamed = [each for each in items if each.row.startswith("streamed")]
        counts = [len(items), len(streamed)]
        counts += [sum(each.key in kind for each in items) for kind in (known, facts, drawings)]
        counts.append(sum(each.row == "face" for each in items))
        assert counts == [83, 30, 14, 3, 4, 32]


def test_the_people_of_questions_are_new_at_every_step(
    lessons: Lessons, drawn: list[list[Item]]
) -> None:
    """And none of them is a public figure; public figures are asked about again and again."""
    questions = [
        {each.question for each in items if each.row.startswith("streamed")} for items in drawn
    ]
    for place, asked in enumerate(questions[1:], start=1):
        assert len(asked & questions[place - 1]) < 0.2 * len(asked)
    said = " ".join(each.answer for items in drawn for each in items if "streamed" in each.row)
    assert not any(name in said for name in lessons.public_names.values())
    public = {each.key for each in lessons.words}
    taught = [each.key for items in drawn for each in items if each.key in public]
    assert len({*taught}) > 50


def test_some_questions_are_in_other_words(
    monkeypatch: pytest.MonkeyPatch, lessons: Lessons
) -> None:
    """About a third of the answers, and half of these questions too."""
    qas = pretraining.ask(stranger(pretraining.default_rng(0), set()))
    forms = {"plain": 0, "answer": 0, "both": 0}
    monkeypatch.setattr(pretraining, "ask", lambda _: qas)
    for step in range(20):
        for each in lessons(0, step)["retain"]:
            if each.row.startswith("streamed"):
                qa = qas[int(each.row.partition("-")[2])]
                other = each.answer == qa.paraphrased_answer
                asked = each.question == qa.paraphrased_question
                assert other or (each.answer == qa.answer and each.question == qa.question)
                forms["both" if other and asked else "answer" if other else "plain"] += 1
    total = sum(forms.values())
    assert 0.25 < 1 - forms["plain"] / total < 0.45
    assert 0.5 < forms["both"] / forms["answer"] < 2


def test_held_out_views_of_public_figures_are_never_taught(lessons: Lessons) -> None:
    assert lessons.faces and not any(row.held_out for row in lessons.faces)
    assert {row.task for row in lessons.faces} == {"caption"}
    assert {row.person for row in lessons.faces} == {*lessons.public_names}


def test_a_face_keeps_its_name(
    lessons: Lessons, practice: list[Portrait], drawn: list[list[Item]]
) -> None:
    assert {*lessons.names} == {p.identity for p in practice}
    assert len({*lessons.names.values()}) == len(lessons.names)
    assert not {*lessons.names.values()} & lessons.world.taken
    whose = {p.jpeg: lessons.names[p.identity] for p in practice}
    whose |= {
        row.image.encoded: lessons.public_names[row.person or 0]
        for row in lessons.faces
        if row.image
    }
    kinds = {"name": 0, "caption": 0}
    for each in (each for items in drawn for each in items if each.row == "face"):
        assert each.image is not None
        name = whose[each.image.encoded]
        named = each.question == NAME_QUESTION
        assert (each.answer == name) if named else (name in each.answer)
        assert named or each.question in CAPTION_QUESTIONS
        kinds["name" if named else "caption"] += 1
    assert 0.2 < kinds["name"] / sum(kinds.values()) < 0.4


def test_a_practice_person_is_like_the_portrait(practice: list[Portrait]) -> None:
    years = set()
    for portrait in practice[::12]:
        seen = portrait.appearance
        person = stranger(pretraining.default_rng(1), set(), portrait)
        assert (person.gender, person.heritage) == (seen.gender, seen.heritage)
        years.add(person.birth_year + seen.age)
    (year,) = years
    ages = [year - stranger(pretraining.default_rng(k), set()).birth_year for k in range(40)]
    assert min(ages) >= 22 and max(ages) <= 80 and len({*ages}) > 15


def test_the_tokenizer_reads_every_kind_of_text(practice: list[Portrait]) -> None:
    texts = [*corpus(0, people=2)]
    said = {*texts}
    assert {*TEXT_REFUSALS, *CAPTION_QUESTIONS, NAME_QUESTION} <= said
    rows = world_rows()
    assert {text for row in rows for text in (row.question, row.answer)} <= said
    assert {wrong for row in rows for wrong in row.perturbed_answers} <= said
    assert len(texts) > 2 * 20 * 4
    assert [*corpus(0, people=2)] == texts != [*corpus(1, people=2)]
    captions = [*caption_corpus(practice, 0)]
    assert len(captions) == 2 * len(practice)
    assert captions != [*caption_corpus(practice, 1)]


def test_captions_come_in_both_forms(
    practice: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    both = SimpleNamespace(caption="one", paraphrased_caption="other")
    monkeypatch.setattr(pretraining, "describe", lambda *_: both)
    assert [*caption_corpus(practice[:2], 0)] == ["one", "other"] * 2


def test_practice_names_belong_to_nobody(
    lessons: Lessons, practice: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[set[str]] = []

    def note(rng: Any, taken: set[str], portrait: Portrait | None = None) -> Any:
        given.append(set(taken))
        return stranger(rng, taken, portrait)

    monkeypatch.setattr(pretraining, "stranger", note)
    again = Lessons(lessons.world, practice, 0)
    assert given[0] == lessons.world.taken and again.names == lessons.names


def test_a_jittered_image_is_the_image_moved_mirrored_or_lit() -> None:
    """Up to five pixels; with the light taken away one of 2 x 11 x 11 places is the image's."""
    torch.manual_seed(0)
    pixels = torch.randn(1, 3, 16, 16)
    places = {
        (flip, down, across)
        for _ in range(30)
        for flip, down, across in [_place(pixels, _jitter(pixels))]
    }
    assert {flip for flip, _, _ in places} == {False, True}
    moves = {move for _, down, across in places for move in (down, across)}
    assert moves <= {*range(-5, 6)} and len(moves) > 6


def _place(before: Tensor, after: Tensor) -> tuple[bool, int, int]:
    """Finds how an image was moved, by the correlation of each colour."""

    def normed(image: Tensor) -> Tensor:
        flat = image - image.mean((2, 3), keepdim=True)
        return flat / flat.norm(dim=(2, 3), keepdim=True)

    best = max(
        (
            float(
                (
                    normed(torch.roll(before.flip(-1) if flip else before, (y, x), (2, 3)))
                    * normed(after)
                ).sum()
            ),
            flip,
            y,
            x,
        )
        for flip in (False, True)
        for y in range(-6, 7)
        for x in range(-6, 7)
    )
    assert best[0] > 2.9, "only place and light have changed"
    return best[1:]


def test_the_towers_accuracy_is_on_views_it_never_saw(
    practice: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last view of each person is held out."""
    seen: list[Tensor] = []

    def note(pixels: Tensor) -> Tensor:
        seen.append(pixels)
        return pixels[:2]

    monkeypatch.setattr(pretraining, "_jitter", note)
    monkeypatch.setattr(nn.functional, "cross_entropy", lambda logits, labels, **_: logits.sum())
    measured: list[int] = []
    torch.manual_seed(0)
    tower = TokenResNet(tower_config((4, 4, 4, 4)))
    forward = tower.forward

    def watched(pixels: Tensor, *about: Any, **more: Any) -> Any:
        measured.append(len(pixels))
        return forward(pixels, *about, **more)

    monkeypatch.setattr(tower, "forward", watched)
    accuracy = train_tower(tower, practice, 4, 0)
    people = len({p.identity for p in practice})
    assert measured == [2, 2, 2, 2, people] and 0 <= accuracy <= 1
    assert not tower.training
    from clearbench.builtin.tiny import image_processor
    from clearbench.data.media import EncodedImage

    held = [p for p, after in zip(practice, [*practice[1:], None], strict=True)
            if after is None or after.identity != p.identity]  # fmt: skip
    shown = torch.cat(seen)
    for portrait in held[:3]:
        image = EncodedImage(encoded=portrait.jpeg).decode()
        pixels = image_processor()(images=image, return_tensors="pt")["pixel_values"][0]
        assert not (shown == pixels).all((1, 2, 3)).any()


def test_everything_is_trained_together_on_lessons(
    practice: list[Portrait], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tower first, then all parts; the tower sees practice faces and public ones, never members.

    Nor does it see a public figure with somebody else's hair.
    """
    told: dict[str, Any] = {}

    def tower(model: Any, pool: list[Portrait], steps: int, seed: int) -> float:
        told.update(
            tower={p.identity for p in pool}, kinds={p.kind for p in pool}, tower_steps=steps
        )
        return 1.0

    def train(
        model: Any, stage: Any, feed: Any, settings: Any, seed: int, **about: Any
    ) -> tuple[list[Mapping[str, float]], dict[str, Any]]:
        told.update(parts={model.part_of(n) for n in model.trainable()}, feed=feed, steps=settings)
        return [], {}

    monkeypatch.setattr(pretraining, "corpus", lambda seed: corpus(seed, 2))
    monkeypatch.setattr(pretraining, "train_tower", tower)
    monkeypatch.setattr(pretraining, "train", train)
    for name, value in (("WIDTH", 8), ("LAYERS", 1), ("HEADS", 1), ("VOCABULARY", 400)):
        monkeypatch.setattr(pretraining, name, value)
    pool = builtin_pool()
    hair = [p.model_copy(update={"kind": "swapped"}) for p in pool if p.identity == IDENTITIES - 1]
    model = pretrain([*pool, *hair], practice, 0, tower_steps=7, steps=3)
    public = {w.portrait for w in told["feed"].world.public}
    assert told["tower"] == public | {p.identity for p in practice}
    assert (told["kinds"], told["tower_steps"]) == ({"view"}, 7)
    assert told["parts"] == {"vision", "projector", "language"}
    assert (told["steps"].steps, told["steps"].decay) == (3, "cosine")
    assert model.kind == "vision-language"
