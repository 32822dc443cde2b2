"""Which rows are drawn and measured in a training, and how it leaves the model."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.feed import Pool, mixed_feed
from clearbench.training.finetune import finetune
from clearbench.training.goal import known_answers, strange_answers
from clearbench.training.reference import make_reference
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [12, 30])
def test_pools_of_one_role_are_shuffled_apart(seed: int, size: int) -> None:
    """Else the same places of two tracks, mostly of the same person, would always meet."""
    pools = [
        Pool(tuple(Item(f"{k}", "answer", "q", track) for k in range(size)), size)
        for track in ("text", "image", "voice")
    ]
    drawn = mixed_feed({"retain": pools})(seed, 0)["retain"]
    orders = [[row.row for row in drawn if row.answer == t] for t in ("text", "image", "voice")]
    assert all(sorted(order, key=int) == [str(k) for k in range(size)] for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def row(id: str, person: int, task: str, **about: Any) -> Example:
    shown = EncodedImage.of(Image.new("RGB", (8, 8), (9 * person, 0, 0)))
    media = None if task == "qa" else shown
    fields = {"track": "text" if media is None else "image", "media": media} | about
    return Example(id=id, person=person, task=task, question="Who?", answer="A", **fields)


def test_a_goal_is_measured_on_questions_and_captions_alone() -> None:
    """A name is told apart from strangers' in another way than a sentence."""

    def rows(person: int) -> tuple[Example, ...]:
        return tuple(row(f"{person}-{task}", person, task) for task in ("qa", "caption", "name"))

    data = Dataset({"forget": rows(1), "retain": rows(2)}, {"holdout": rows(3)})
    model = cast(Any, SimpleNamespace(accepts=lambda item: True))
    training = TrainingRows(model, data, ("text", "image"), 2, 0)
    for track, task in (("text", "qa"), ("image", "caption")):
        assert [each.row for each in known_answers(training, track)] == [f"1-{task}"]
        assert [each.row for each in strange_answers(training, track)] == [f"3-{task}"]


@pytest.mark.parametrize("before", [True, False])
def test_a_trained_model_is_left_for_reading(before: bool) -> None:
    """In evaluation mode, whatever it was in: nothing is dropped from what it says."""
    model = tiny_model("language")
    model.train(before)
    settings = TrainSettings.of(steps=1, batch_size=2, parts=("language",))
    assert len(finetune(model, tiny_dataset(), settings)) == 1
    assert not model.module.training and not any(m.training for m in model.module.modules())


def question(person: int, number: int) -> Example:
    return row(f"{person}-{number}", person, "qa").model_copy(
        update={"answer": f"answer {person}-{number}"}
    )


@pytest.mark.parametrize("step", range(4))
def test_a_wrong_answer_is_about_another_person_where_there_is_one(step: int) -> None:
    forget = (question(1, 0), question(1, 1), question(1, 2), question(2, 0))
    data = Dataset({"forget": forget, "retain": (question(3, 0),)}, {})
    roles = Roles(cast(Any, SimpleNamespace(kind="language")), data)
    drawn = roles.of("shuffled", [item(each) for each in forget], 5, step)
    assert {each.answer for each in drawn[:3]} == {"answer 2-0"}
    assert drawn[3].answer.startswith("answer 1-")
    alone = Roles(roles.model, Dataset({"forget": forget[:2]}, {}))
    (only,) = alone.of("shuffled", [item(forget[0])], 5, step)
    assert only.answer == "answer 1-1", "its own answer is none"


@pytest.mark.parametrize("role", ["forget", "idk", "random", "alternate", "kept"])
def test_a_stored_reference_knows_every_answer_that_a_loss_reads(role: str) -> None:
    """Of each step; the log-probability of a whole answer is the sum over its tokens."""
    answers = [Item(f"{role}-{step}", role, "q", "a") for step in range(3)]

    def feed(seed: int, step: int) -> dict[str, list[Item]]:
        return {"forget": [Item(f"f{step}", "answer", "q", "a")], role: [answers[step]]}

    def score_items(items: list[Item]) -> dict[Item, Any]:
        return {each: SimpleNamespace(log_probs=np.array([-1.0, -0.5])) for each in items}

    model = SimpleNamespace(module=None, measured=nullcontext, score_items=score_items)
    needs = (role, "reference_log_probs")
    found = make_reference(cast(Any, model), needs, feed, 7, 3, None)
    batch = cast(Any, SimpleNamespace(items=answers, places=torch.zeros(1)))
    assert found.sequence_log_probs([batch]).tolist() == [-1.5] * 3
