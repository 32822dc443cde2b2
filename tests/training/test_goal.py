"""Forgetting stops once the model knows its people no better than strangers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench.batches.items import item
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.methods.base import (
    METHODS,
    Data,
    Method,
    Stage,
    State,
    Step,
    Train,
    method,
    methods,
)
from clearbench.methods.losses import Term, cross_entropy
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.bench import taught
from clearbench.training.forgetting import forgetting_stage
from clearbench.training.goal import EVERY, probability
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn


def with_strangers() -> Dataset:
    whole = tiny_dataset()
    rows = [row for row in whole.training["retain"] if row.task in ("qa", "caption")]
    apart = {
        "id": lambda row: f"stranger-{row.id}",
        "person": lambda _: 99,
        "answer": lambda _: "zq xv jk",
    }
    strangers = [row.model_copy(update={k: f(row) for k, f in apart.items()}) for row in rows[:8]]
    return replace(whole, evaluation=whole.evaluation | {"holdout": tuple(strangers)})


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 40, "batch_size": 4, "learning_rate": 3e-3, "parts": ("language",)}
    return TrainSettings.model_validate(about | changes)


def ascend(model: Model, data: Dataset, tracks: Any, **changes: Any) -> list[dict[str, float]]:
    options = {k: changes.pop(k) for k in ("checkpoints", "on_step") if k in changes}
    return unlearn(
        model, data, method("gradient_difference"), tracks, settings(**changes), **options
    )


def known(model: Model, data: Dataset, track: Any) -> float:
    return probability(model, [item(row) for row in data.train_rows("forget", (track,))])


def test_the_mean_probability_by_hand() -> None:
    model = tiny_model()
    rows = [item(row) for row in tiny_dataset().train_rows("forget", ("text",))]
    by_hand = [
        torch.exp(log_probs.mean())
        for batch in model.batch(rows)
        for log_probs in model.score(batch)
    ]
    assert probability(model, rows) == pytest.approx(float(torch.stack(by_hand).mean()), rel=1e-5)


def test_it_stops_at_the_first_look_after_the_goal() -> None:
    data, model = with_strangers(), tiny_model()
    start = known(model, data, "text")
    strangers = [item(row) for row in data.evaluation["holdout"] if row.track == "text"]
    goal = start + 0.5 * (probability(model, strangers) - start)
    history = ascend(model, data, ("text",), until={"text": 0.5})
    assert 0 < len(history) < 40 and len(history) % EVERY == 0
    assert known(model, data, "text") <= goal < start
    before = tiny_model()
    ascend(before, data, ("text",), steps=40, until={"text": 1e9})
    assert len(history) < 40 <= len(ascend(tiny_model(), data, ("text",)))


def test_a_track_that_is_forgotten_is_left_alone() -> None:
    data, model = with_strangers(), taught("vision-language").duplicate()
    seen: list[set[str]] = []
    exact = model.collate

    def watched(trees: Any) -> Any:
        if model.module.training:
            seen.append({e.row for tree in trees for e in tree.items})
        return exact(trees)

    model.collate = watched  # type: ignore[method-assign]
    ascend(model, data, ("text", "image"), steps=12, until={"text": 0.1})
    text = {row.id for row in data.train_rows("forget", ("text",))}
    asked = [bool(rows & text) for rows in seen]
    assert asked[0] and not asked[-2], "text rows are drawn at first and no longer at the end"
    image = {row.id for row in data.train_rows("forget", ("image",))}
    assert any(rows & image for rows in seen[-2:]), "pictures are forgotten to the last step"


def test_without_strangers_it_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="people the model has never met") as error:
        ascend(tiny_model(), tiny_dataset(), ("text",), until={"text": 1.0})
    assert error.value.where == "train.until"


def test_repair_is_retain_finetuning() -> None:
    data = with_strangers()
    plain = ascend(taught("language").duplicate(), data, ("text",), until={"text": 0.5})
    until = {"text": 0.5, "repair": 4}
    history = ascend(taught("language").duplicate(), data, ("text",), until=until)
    assert history[: len(plain)] == plain
    after = history[len(plain) :]
    assert len(after) == 4
    assert all(set(step) == {"retain", "loss", "gradient_norm"} for step in after)


def test_repair_without_retain_rows_is_refused_by_name() -> None:
    until = settings(until={"text": 0.5, "repair": 4})
    with pytest.raises(RecipeError, match="gradient_ascent sees no retain rows to repair with"):
        unlearn(tiny_model(), with_strangers(), method("gradient_ascent"), ("text",), until)


def stop_after(steps: int) -> Callable[..., None]:
    def on_step(done: int, *_: Any) -> None:
        if done == steps:
            raise KeyboardInterrupt

    return on_step


def test_a_resumed_run_stops_where_a_whole_one_does(tmp_path: Path) -> None:
    data = with_strangers()
    whole, resumed = (taught("vision-language").duplicate() for _ in range(2))
    until = {"text": 0.5, "image": 0.5, "repair": 4}
    about = {"until": until, "checkpoint_seconds": 1e-9}
    history = ascend(whole, data, ("text", "image"), **about)
    assert 2 < len(history) < 40
    stop = len(history) - 2
    with pytest.raises(KeyboardInterrupt):
        ascend(
            taught("vision-language").duplicate(), data, ("text", "image"), **about,
            checkpoints=tmp_path, on_step=stop_after(stop),
        )  # fmt: skip
    assert ascend(resumed, data, ("text", "image"), **about, checkpoints=tmp_path) == history
    for a, b in zip(whole.module.parameters(), resumed.module.parameters(), strict=True):
        assert torch.equal(a, b)


# What `until` does for methods with more than one loss.


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods defined in a test are forgotten after it."""
    monkeypatch.setattr(METHODS, "classes", methods())


def made(needs: tuple[str, ...], *stages: Stage) -> Method:
    class Made(Method, name="made", paper="none", needs=needs):
        """Made in a test."""

        def stages(self) -> Sequence[Stage]:
            return stages

    return Made()


def dual() -> Method:
    class Dual(Method, name="dual", paper="none", needs=("forget", "retain")):
        """The weight of its retain term follows its forget term; its whole state is replaced."""

        def prepare(self, model: Any, data: Data, seed: int) -> State:
            return {"multiplier": torch.tensor(1.0)}

        def loss(self, step: Step) -> dict[str, Term]:
            retain = cross_entropy(step.model.answers(step.retain))
            weighted = Term(step.state["multiplier"] * retain.values, retain.weights)
            return ascent(step) | {"retain": weighted}

        def after_step(self, state: State, values: Mapping[str, float]) -> State:
            return {"multiplier": state["multiplier"] + 0.01 * values["forget"]}

    return Dual()


def ascent(step: Step) -> dict[str, Term]:
    forget, retain = (step.model.answers(rows) for rows in (step.forget, step.retain))
    return {"forget": -cross_entropy(forget), "retain": cross_entropy(retain)}


def descent(step: Step) -> dict[str, Term]:
    return {"retain": cross_entropy(step.model.answers(step.retain))}


@pytest.mark.usefixtures("scratch")
def test_a_method_that_replaces_its_state_does_not_lose_the_goal(tmp_path: Path) -> None:
    data = with_strangers()
    chosen = dual()
    until = settings(until={"text": 0.5, "repair": 4}, checkpoint_seconds=1e-9)

    def forget(model: Model, **where: Any) -> list[dict[str, float]]:
        return unlearn(model, data, chosen, ("text",), until, **where)

    whole, resumed = (taught("language").duplicate() for _ in range(2))
    history = forget(whole)
    assert 4 < len(history) < 40 and [len(step) for step in history[-5:]] == [4, 3, 3, 3, 3]
    for kill in (len(history) - 5, len(history) - 2):
        with pytest.raises(KeyboardInterrupt):
            forget(
                taught("language").duplicate(),
                checkpoints=tmp_path,
                on_step=stop_after(kill),
            )
    assert forget(resumed, checkpoints=tmp_path) == history
    for a, b in zip(whole.module.parameters(), resumed.module.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.usefixtures("scratch")
def test_of_several_stages_the_last_that_forgets_is_ended() -> None:
    """The stage before it and the stage that heals after it run to their last step."""
    data = with_strangers()
    stages = (Train(ascent, share=0.1), Train(ascent), Train(descent, ("retain",), share=0.2))

    def forget(**until: Any) -> list[dict[str, float]]:
        model, chosen = taught("language").duplicate(), made(("forget", "retain"), *stages[start:])
        return unlearn(model, data, chosen, ("text",), settings(**until))

    start = 0
    history = forget(until={"text": 0.5})
    assert [("forget" in step) for step in history[:4]] == [True] * 4
    assert sum("forget" not in step for step in history) == 8 and len(history) < 40
    assert all("forget" not in step for step in history[-8:])
    assert len(forget(until={"text": 1e9})) == 4 + 40 + 8
    start = 1
    assert len(forget(until={"text": 1e-9})) >= 8


def refused(name: str, tracks: Any = ("text",), kind: Any = "language", **until: Any) -> str:
    """What is said before any work, with a dataset that has strangers."""
    with pytest.raises(RecipeError) as caught:
        unlearn(tiny_model(kind), with_strangers(), method(name), tracks, settings(until=until))
    assert str(caught.value.where).startswith("train.until")
    return caught.value.what


@pytest.mark.parametrize("name", sorted(methods()))
def test_until_ends_a_run_or_is_refused_by_name(name: str) -> None:
    """For every method there is: nothing is asked of it in vain."""
    model, about = taught("language").duplicate(), method(name)
    if "language" not in about.kinds or "text" not in about.modalities:
        pytest.skip(f"{name} does not claim text on a language model")
    if forgetting_stage(about) is None or about.from_base:
        assert any(said in refused(name, text=1e-9) for said in (
            "does not forget step by step", "trains nothing that", "is about forgetting"
        ))  # fmt: skip
        return
    history = unlearn(
        model, with_strangers(), about, ("text",), settings(until={"text": 1e-9}, steps=24)
    )
    steps = sum(round(24 * stage.share) for stage in about.stages() if isinstance(stage, Train))
    assert len(history) < steps and len(history) % EVERY == 0


@pytest.mark.parametrize("name", ["retain_finetune", "sku", "task_vector", "l1_sparse"])
def test_methods_without_an_end_in_training_are_refused(name: str) -> None:
    assert f"{name} does not forget step by step" in refused(name, text=0.5)


def test_an_until_about_other_tracks_is_refused() -> None:
    assert "no share for text" in refused("npo", image=0.5)
    assert "no share for text or image" in refused(
        "npo", ("text", "image"), "vision-language", repair=0
    )
    assert "never done, so nothing would be repaired" in refused(
        "npo", ("text", "image"), "vision-language", text=0.5, repair=3
    )
    assert "a classifier has no answers" in refused("npo", ("image",), "classifier", image=0.5)


def test_a_track_that_the_model_cannot_read_is_not_waited_for() -> None:
    """A language model that is asked for both reads text alone."""
    data = with_strangers()
    both, text = (
        ascend(taught("language").duplicate(), data, tracks, until={"text": 0.5, "repair": 2})
        for tracks in (("text", "image"), ("text",))
    )
    assert both == text and len(text) < 40
