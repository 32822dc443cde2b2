"""Making the real vision-language model: whom it meets, and what its projector learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from clearbench.builtin import align as making
from clearbench.builtin.align import FACES, RESERVED, Lessons, align, prepare_projector
from clearbench.builtin.tiny import tiny_model
from clearbench.data.made_up import make_world
from clearbench.errors import ModelError
from clearbench.models.vision_language import VisionLanguageModel
from clearbench.people.shipped import WORLD_IDENTITIES, builtin_pool


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return Lessons(0)


@pytest.mark.parametrize(("people", "strangers"), [(8, 4), (12, 12), (RESERVED, 0)])
def test_nobody_of_a_small_world_is_met(lessons: Lessons, people: int, strangers: int) -> None:
    """Neither face nor name, of the same seed."""
    world = make_world(builtin_pool(), people, strangers, 0)
    mine = (*world.members, *world.strangers)
    assert not {p.portrait for p in mine} & {p.portrait for p in lessons.people}
    assert not {p.name for p in mine} & {p.name for p in lessons.people}
    shown = {row.image.encoded for row in (*lessons.taught, *lessons.held_out) if row.image}
    assert not shown & {view.jpeg for p in mine for view in world.portraits[p.portrait or 0]}


def test_everybody_else_is_met(lessons: Lessons) -> None:
    assert len(lessons.people) == WORLD_IDENTITIES - RESERVED + 24
    assert not any(row.held_out for row in lessons.taught)
    assert all(row.held_out for row in lessons.held_out)


def test_a_step_is_a_function_of_seed_and_step(lessons: Lessons) -> None:
    first = lessons(0, 3)["retain"]
    assert first == lessons(0, 3)["retain"] != lessons(0, 4)["retain"]
    assert lessons(1, 3)["retain"] != first
    faces = [each for each in first if each.person is not None]
    assert len(faces) == FACES and all(each.image for each in first)


def few(lessons: Lessons, people: int) -> Lessons:
    """Lessons about the first few people alone."""
    some = object.__new__(Lessons)
    some.people = lessons.people[:people]
    known = {person.id for person in some.people}
    some.taught = [row for row in lessons.taught if row.person in known]
    some.held_out = [row for row in lessons.held_out if row.person in known]
    some.drawings = lessons.drawings
    return some


@pytest.fixture
def model() -> VisionLanguageModel:
    made = tiny_model("vision-language")
    assert isinstance(made, VisionLanguageModel)
    return made


def test_the_projector_learns_to_tell_people_apart(
    lessons: Lessons, model: VisionLanguageModel
) -> None:
    """And is then as loud as words; nothing else of the model has changed."""
    before = {name: value.clone() for name, value in model.core.state_dict().items()}
    some = few(lessons, 3)
    start, _ = prepare_projector(model, some, 0, 0)
    right, people = prepare_projector(model, some, 60, 0)
    assert people == 3 and right > start
    features = making.stored_features(model, some.taught[:64:3])
    projected = model.core.model.multi_modal_projector(features).detach()
    words = model.core.get_input_embeddings().weight.detach().std()
    assert 0.5 < float(projected.std() / words) < 2
    changed = {
        name
        for name, value in model.core.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed and all("multi_modal_projector" in name for name in changed)


def test_names_are_learned_by_adapters_that_are_merged(
    lessons: Lessons, model: VisionLanguageModel
) -> None:
    before = {name: value.clone() for name, value in model.core.state_dict().items()}
    losses = align(model, few(lessons, 2), 3, 0, Console(quiet=True))
    after = model.core.state_dict()
    assert len(losses) == 3 and losses[-1] < losses[0] and after.keys() == before.keys()
    changed = {name.split(".")[1] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"multi_modal_projector", "language_model"}


def test_a_folder_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is loaded first")

    monkeypatch.setattr(making, "load_model", unread)
    monkeypatch.setattr("sys.argv", ["align", "--out", str(tmp_path)])
    with pytest.raises(ModelError, match="something already"):
        making.main()
