"""What reaches the loop: rows of the right people in every step, and their references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ImageOps

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.methods.base import METHODS, Method, Stage, Step, Train, method, methods
from clearbench.methods.losses import Term, cross_entropy
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import _world_rows, copied, taught
from clearbench.training import finetune as finetuning
from clearbench.training import stages as staging
from clearbench.training.finetune import finetune
from clearbench.training.goal import EVERY, Goal, probability
from clearbench.training.loop import StageContext, train
from clearbench.training.reference import make_reference
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings, Until
from clearbench.training.unlearn import unlearn

BOTH = ("text", "image")


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 3, "batch_size": 4, "learning_rate": 1e-3, "parts": ("language",)}
    return TrainSettings.model_validate(about | {"warmup": 0.0, "decay": "none"} | changes)


def with_world() -> Dataset:
    data = tiny_dataset()
    return replace(data, training=data.training | {"replay": _world_rows("replay", "text")})


def people_of(monkeypatch: pytest.MonkeyPatch, steps: int = 40) -> list[list[int | None]]:
    """The person of every row that each training draws, noted in place of training."""
    found: list[list[int | None]] = []

    def note(model: Any, stage: Any, feed: Any, settings: Any, seed: int, **_: Any) -> Any:
        drawn = [row for step in range(steps) for row in feed(seed, step)["retain"]]
        found.append([row.person for row in drawn])
        return [], {}

    monkeypatch.setattr(finetuning, "train", note)
    return found


def test_an_original_learns_everybody_and_a_gold_all_but_the_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = people_of(monkeypatch)
    data, about = with_world(), settings(replay=2)
    finetune(tiny_model(), data, about)
    finetune(tiny_model(), data, about, without=("forget",))
    unlearn(tiny_model(), data, method("retrain"), ("text",), about)
    everybody, *golds = found
    assert {*everybody} == {None, *range(8)}
    assert [{*gold} for gold in golds] == [{None, *range(2, 8)}] * 2
    assert everybody.count(None) == 2 * 40, "rows about the world in every step"


def test_each_track_has_rows_of_its_own_number() -> None:
    assert settings(batch_size=5).rows["image"] == 5
    rows = settings(batch_size=5, image_batch_size=2).rows
    assert (rows["text"], rows["image"]) == (5, 2)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_step_reads_its_own_rows_once(accumulate: int) -> None:
    """Micro-batches share a step's rows among them."""
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))]
    seen: list[list[str]] = []

    def loss(step: Step) -> dict[str, Term]:
        seen.append([each.row for batch in step.retain for each in batch.items])
        return {"retain": cross_entropy(step.model.answers(step.retain))}

    def feed(seed: int, step: int) -> dict[str, list[Item]]:
        assert seed == 5
        return {"retain": rows[4 * step : 4 * step + 4]}

    model = tiny_model()
    model.train_only(("language",))
    train(model, Train(loss), feed, settings(accumulate=accumulate), 5)
    assert [len(part) for part in seen] == [4 // accumulate] * 3 * accumulate
    for step in range(3):
        mine = [row for part in seen[step * accumulate : (step + 1) * accumulate] for row in part]
        assert sorted(mine) == sorted(row.row for row in rows[4 * step : 4 * step + 4])


def test_the_watch_looks_again_and_again() -> None:
    looks: list[int] = []

    class Looking:
        def is_due(self, history: Sequence[Any]) -> bool:
            return True

        def check(self, history: Sequence[Any]) -> None:
            looks.append(len(history))

    from clearbench.training.watch import Watch

    model = tiny_model()
    model.train_only(("language",))
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))]
    context = StageContext(watch=Looking())  # type: ignore[arg-type]
    train(model, Train(_plain), lambda *_: {"retain": rows[:4]}, settings(steps=4), 0, context)
    assert looks == [1, 2, 3, 4]
    watch = Watch(TrainingRows(model, tiny_dataset(), ("text",), 4, 0), 1.0)
    due = [steps for steps in range(1, 3 * EVERY + 1) if watch.is_due([{}] * steps)]
    assert due == [EVERY, 2 * EVERY, 3 * EVERY]


def _plain(step: Step) -> dict[str, Term]:
    return {"retain": cross_entropy(step.model.answers(step.retain))}


def test_rows_of_every_step_have_a_reference() -> None:
    model = tiny_model()
    rows = [item(row) for row in tiny_dataset().train_rows("forget", ("text",))]
    needs = ("forget", "reference_log_probs")
    stored = make_reference(model, needs, lambda _, step: {"forget": [rows[step]]}, 0, 3)
    found = [float(stored.sequence_log_probs(model.batch([row]))) for row in rows[:3]]
    with torch.no_grad():
        answers = model.answers(model.batch(rows[:3]))
    assert found == pytest.approx(answers.per_row(answers.log_probs).tolist(), abs=1e-4)
    with pytest.raises(KeyError):
        stored.sequence_log_probs(model.batch([rows[3]]))


def test_what_a_role_draws_differs_between_steps_seeds_and_rows() -> None:
    data = replace(tiny_dataset(), refusals=tuple(f"no {k}" for k in range(50)))
    made = Roles(tiny_model(), data)
    rows = [item(row) for row in data.train_rows("forget", ("text",))]
    for role in ("idk", "random"):
        by_step = {
            (seed, step): tuple(row.answer for row in made.of(role, rows, seed, step))
            for seed in (0, 1)
            for step in range(4)
        }
        assert len({*by_step.values()}) == 8, role
        assert len({*by_step[0, 0]}) > 1, role
        again = tuple(row.answer for row in Roles(tiny_model(), data).of(role, rows, 1, 2))
        assert again == by_step[1, 2], "a function of seed and step"


def test_a_mirrored_row_shows_the_image_from_right_to_left() -> None:
    data = tiny_dataset()
    made = Roles(tiny_model("vision-language"), data)
    rows = [item(row) for row in data.train_rows("forget", ("image",))]
    for own, other in zip(rows, made.of("mirrored", rows, 0, 0), strict=True):
        assert own.image is not None
        assert other.image is not None
        pixels, expected = np.asarray(other.image.decode()), ImageOps.mirror(own.image.decode())
        assert np.array_equal(pixels, np.asarray(expected))
        assert not np.array_equal(pixels, np.asarray(own.image.decode()))
        assert (other.row, other.answer, other.question) == (own.row, own.answer, own.question)


def test_statistics_read_rows_in_an_order_of_the_seed() -> None:
    model, data = tiny_model(), tiny_dataset()

    def order(seed: int) -> list[str]:
        rows = TrainingRows(model, data, ("text",), 5, seed)
        return [e.row for group in rows.batches("retain") for batch in group for e in batch.items]

    plain = [row.id for row in data.train_rows("retain", ("text",))]
    assert sorted(order(0)) == sorted(plain) and order(0) != plain
    assert order(0) == order(0) != order(1)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0, 2.0])
def test_a_goal_lies_its_share_of_the_way_from_the_start_to_strangers(share: float) -> None:
    data, model = tiny_dataset(), copied(taught("language"))
    strangers = [
        row.model_copy(update={"id": f"s-{row.id}", "person": 99, "answer": "zq xv jk"})
        for row in data.train_rows("retain", ("text",))[:6]
    ]
    data = replace(data, evaluation=data.evaluation | {"holdout": tuple(strangers)})
    start = probability(model, [item(row) for row in data.train_rows("forget", ("text",))])
    end = probability(model, [item(row) for row in strangers])
    assert end < start
    goal = Goal(TrainingRows(model, data, ("text",), 4, 0), Until(text=share))
    assert goal._most["text"] == pytest.approx(start + share * (end - start))
    reached: dict[str, int] = {}
    goal.note_reached(EVERY, reached)
    assert reached == {}
    goal._most["text"] = start
    goal.note_reached(EVERY + 1, reached)
    assert reached == {}, "it looks every few steps"
    goal.note_reached(2 * EVERY, reached)
    assert reached == {"text": 2 * EVERY}


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods defined in a test are forgotten after it."""
    monkeypatch.setattr(METHODS, "classes", methods())


@pytest.mark.usefixtures("scratch")
def test_no_two_stages_of_two_seeds_have_one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Made(Method, name="made", paper="none", needs=("retain", "forget")):
        """Made in a test."""

        def stages(self) -> Sequence[Stage]:
            return (Train(_plain), Train(_plain), Train(_plain))

    seeds: list[int] = []

    def note(model: Any, stage: Any, feed: Any, about: Any, seed: int, *_: Any, **__: Any) -> Any:
        seeds.append(seed)
        return [], {}

    monkeypatch.setattr(staging, "train", note)
    for seed in range(4):
        unlearn(tiny_model(), tiny_dataset(), Made(), ("text",), settings(), seed)
    assert len(seeds) == len({*seeds}) == 12


def test_a_mask_of_the_settings_leaves_its_share_of_the_weights() -> None:
    model = tiny_model()
    before = {name: weight.detach().clone() for name, weight in model.module.named_parameters()}
    unlearn(model, tiny_dataset(), method("npo"), ("text",), settings(saliency=0.25, clip=1e9))
    learned = model.trainable()
    moved = sum(int((weight != before[name]).sum()) for name, weight in learned.items())
    share = moved / sum(weight.numel() for weight in learned.values())
    assert 0.05 < share <= 0.2501


@pytest.mark.parametrize("name", ["gradient_difference", "kl_minimization", "scrub"])
def test_a_method_without_the_retain_rows_it_needs_is_refused(name: str) -> None:
    alone = replace(tiny_dataset(), training={"forget": tiny_dataset().training["forget"]})
    with pytest.raises(RecipeError, match=f"{name} needs a retain set"):
        unlearn(tiny_model(), alone, method(name), ("text",), settings())
