"""Whose rows are trained on: held-out ones never, and each split's own alone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from clearbench.batches.items import Item
from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import _world_rows
from clearbench.training.feed import Pool, track_pools, unlearning_feed
from clearbench.training.finetune import teaching_feed
from clearbench.training.goal import EVERY, ROWS
from clearbench.training.roles import DERIVED, OF_RETAIN, Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged, Watch

BOTH = ("text", "image")
HELD = "held out"
PER_STEP = {"text": 5, "image": 5}


def held(row: Example) -> Example:
    """A row that is measured and never trained on."""
    about = {"id": f"{row.id}-held", "answer": HELD, "question": f"{HELD}? {row.question}"}
    return row.model_copy(update=about | {"held_out": True})


def with_held_out() -> Dataset:
    """The tiny people, each with a held-out copy of every row, and replay rows, one held out."""
    data = tiny_dataset()
    training = {
        split: (*rows, *(held(row) for row in rows)) for split, rows in data.training.items()
    }
    replay = (*_world_rows("replay", "text"), *_world_rows("replay", "image"))
    replay = (*replay, held(replay[0]))
    return replace(data, training={**training, "replay": replay})


def is_trained(items: Iterable[Item]) -> bool:
    """Whether there are items, and none is held out nor has a held-out row's answer."""
    chosen = list(items)
    return bool(chosen) and not any(
        HELD in (row.answer, row.question[: len(HELD)]) or row.row.endswith("-held")
        for row in chosen
    )


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_held_out_rows_are_never_drawn(kind: Kind) -> None:
    """Neither for teaching, nor to forget, nor in any role made from other rows."""
    model, data = tiny_model(kind), with_held_out()
    tracks = ("text",) if kind == "language" else BOTH
    settings = TrainSettings(steps=1, batch_size=5, replay=2)
    rows = [row for split in ("forget", "retain") for row in data.train_rows(split)]
    taught = teaching_feed(rows, data.train_rows("replay"), settings, model.accepts)
    alone = ("paired", "mirrored") if kind == "language" else ()
    needs = [role for role in (*DERIVED, *OF_RETAIN) if role not in alone]
    feed = unlearning_feed(data, tracks, PER_STEP, 2, Roles(model, data), needs)
    for step in range(20):
        assert is_trained(taught(0, step)["retain"])
        drawn = feed(0, step)
        assert {*drawn} == {"forget", "retain", *needs}
        for role, items in drawn.items():
            assert is_trained(items), role


@pytest.mark.parametrize("role", ["forget", "retain", "random", "shuffled", "paired", "kept"])
def test_statistics_and_guards_see_no_held_out_row(role: str) -> None:
    rows = TrainingRows(tiny_model("vision-language"), with_held_out(), BOTH, 4, 0)
    assert is_trained(rows.items(role))
    split = "retain" if role == "retain" else "forget"
    assert len(rows.items(role)) == len(tiny_dataset().train_rows(split))


def test_each_split_gives_its_own_rows() -> None:
    """Replay rows are about the world; a forget row is never among the retained ones."""
    model, data = tiny_model("vision-language"), with_held_out()
    settings = TrainSettings(steps=1, batch_size=5, replay=3)
    feed = unlearning_feed(data, ("text",), PER_STEP, 3, Roles(model, data), ("spared",))
    retained = list(data.train_rows("retain"))
    taught = teaching_feed(retained, data.train_rows("replay"), settings, model.accepts)
    about: dict[str, set[int | None]] = {"forget": set(), "retain": set(), "spared": set()}
    for step in range(12):
        drawn = feed(0, step)
        for role, items in drawn.items():
            about[role] |= {row.person for row in items}
        assert {row.track for row in drawn["forget"]} == {"text"}
        assert {row.track for row in drawn["spared"]} == {"image"}
        for mixed in (drawn["retain"], taught(0, step)["retain"]):
            world = [row for row in mixed if row.person is None]
            assert (len(mixed), len(world)) == (2 * 5 + 2 * 3, 2 * 3)
            assert {row.track for row in world} == {"text", "image"}
    assert about == {"forget": {0, 1}, "spared": {0, 1}, "retain": {None, *range(2, 8)}}


def test_a_pool_draws_every_item_once_before_any_again() -> None:
    items = [Item(str(k), "answer", "q", "a") for k in range(5)]
    pool = Pool(items, 2)
    drawn = [row.row for step in range(10) for row in pool.draw(3, step)]
    for epoch in range(4):
        assert sorted(drawn[5 * epoch : 5 * epoch + 5]) == ["0", "1", "2", "3", "4"]
    assert len({tuple(drawn[5 * epoch : 5 * epoch + 5]) for epoch in range(4)}) > 1
    assert [row.row for row in pool.draw(3, 1)] == drawn[2:4], "a function of seed and step"
    assert [row.row for step in range(10) for row in pool.draw(4, step)] != drawn


def test_pools_are_of_one_track_each() -> None:
    rows = tiny_dataset().train_rows("retain")
    pools = track_pools(rows, {"text": 2, "image": 3}, lambda _: True)
    assert [({row.track for row in pool.items}, pool.per_step) for pool in pools] == [
        ({"text"}, 2), ({"image"}, 3),
    ]  # fmt: skip
    (only,) = track_pools(rows, PER_STEP, tiny_model().accepts)
    assert {row.track for row in only.items} == {"text"}


class Watched:
    """Retain rows whose log-probability depends on their place, and a model that reads them."""

    def __init__(self, count: int) -> None:
        self.values = np.full(count, -1.0)
        self.read: list[int] = []
        self.model = self

    def items(self, role: str) -> list[Item]:
        assert role == "retain"
        return [Item(str(k), "answer", "q", "a") for k in range(len(self.values))]

    def measured(self) -> Any:
        return nullcontext()

    def score_items(self, items: list[Item]) -> dict[Item, Any]:
        self.read = [int(row.row) for row in items]
        return {row: SimpleNamespace(log_probs=self.values[[int(row.row)]]) for row in items}

    def watch(self, rise: float = 0.5) -> Watch:
        return Watch(cast(TrainingRows, self), rise)


def history(steps: int) -> list[dict[str, float]]:
    return [{"loss": 1.0}] * steps


@pytest.mark.parametrize("count", [3, ROWS, 4 * ROWS, 5 * ROWS - 1])
def test_the_watch_reads_rows_spread_over_all(count: int) -> None:
    rows = Watched(count)
    rows.watch()
    assert len(rows.read) == min(count, ROWS) and rows.read == sorted({*rows.read})
    assert rows.read[-1] >= 0.75 * (count - 1) and rows.read[0] == 0


@pytest.mark.parametrize(("after", "ends"), [(-1.4, False), (-1.6, True), (np.nan, True)])
def test_the_watch_ends_a_run_whose_retain_loss_rises_or_is_no_number(
    after: float, ends: bool
) -> None:
    rows = Watched(8)
    watch = rows.watch(rise=0.5)
    rows.values[:] = after
    due = [steps for steps in range(1, 2 * EVERY + 1) if watch.is_due(history(steps))]
    assert due == [EVERY, 2 * EVERY]
    with pytest.raises(Diverged, match="max_retain_rise") if ends else nullcontext():
        watch.check(history(EVERY))


def test_the_watch_weighs_tokens_alike() -> None:
    """The loss is per answer token, not per row."""
    rows = Watched(2)
    tokens = {0: np.array([-1.0]), 1: np.array([-2.0, -2.0, -3.0])}
    rows.score_items = lambda items: {  # type: ignore[method-assign]
        row: SimpleNamespace(log_probs=tokens[int(row.row)]) for row in items
    }
    assert rows.watch()._loss() == pytest.approx(2.0)
