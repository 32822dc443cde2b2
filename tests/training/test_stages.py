"""Methods of several stages: what each starts from, looks back at and leaves, also after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.methods.base import METHODS, Method, method, methods
from clearbench.methods.losses import Term, cross_entropy, uniform
from clearbench.methods.stages import Edit, Stage, Train
from clearbench.methods.step import Data, Model, State, Step
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Methods defined in a test are forgotten after it."""
    monkeypatch.setattr(METHODS, "classes", methods())
    yield


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 4, "batch_size": 4, "learning_rate": 3e-3, "parts": ("language",)}
    return TrainSettings.model_validate(about | {"warmup": 0.0} | changes)


def run(model: Any, chosen: Method, **changes: Any) -> list[dict[str, float]]:
    where = {key: changes.pop(key) for key in ("checkpoints", "on_step") if key in changes}
    return unlearn(model, tiny_dataset(), chosen, ("text",), settings(**changes), **where)


def weights(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.trainable().items()}


def everything(model: Any) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.module.state_dict().items()}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def learn(step: Step) -> dict[str, Term]:
    return {"retain": cross_entropy(step.model.answers(step.retain))}


def made(about: dict[str, Any], stages: Callable[[Method], Sequence[Stage]]) -> Method:
    class Made(Method, name="made", paper="none", **({"needs": ("forget", "retain")} | about)):
        """Made in a test."""

        def stages(self) -> Sequence[Stage]:
            return stages(self)

    return Made()


def test_every_stage_has_its_share_of_the_steps_and_all_are_counted_together() -> None:
    halves = made({}, lambda _: (Train(learn, share=0.5), Train(learn, share=0.25)))
    told: list[tuple[int, int]] = []
    history = run(tiny_model(), halves, steps=8, on_step=lambda d, n, _: told.append((d, n)))
    assert len(history) == 6
    assert told == [(k, 6) for k in range(1, 7)]


def test_a_stage_has_its_own_rate() -> None:
    fast, slow = tiny_model(), tiny_model()
    run(fast, made({}, lambda _: (Train(learn, rate=2.0),)))
    run(slow, made({}, lambda _: (Train(learn),)), learning_rate=6e-3)
    assert same(weights(fast), weights(slow))


def test_a_stage_can_start_from_the_original_and_look_back_at_an_earlier_stage() -> None:
    """DPO's tuned reference: a first stage makes it, the second starts from the original."""
    seen: dict[str, float] = {}

    def compare(step: Step) -> dict[str, Term]:
        if step.number == 0:
            ours = step.model.answers(step.retain).log_probs.detach()
            theirs = step.reference.answers(step.retain).log_probs
            again = step.reference.states(step.retain, 1)
            seen.update(gap=float((ours - theirs).abs().max()), width=again.shape[-1])
        return learn(step)

    two = made(
        {"needs": ("forget", "retain", "reference")},
        lambda _: (
            Train(learn, name="tuned"),
            Train(compare, start="original", reference="tuned"),
        ),
    )
    one = made({}, lambda _: (Train(learn),))
    for rank in (None, 2):
        run(tiny_model(), two, lora_rank=rank)
        assert seen.pop("gap") > 1e-3, "the reference is the tuned model, not the original"
    first, second = tiny_model(), tiny_model()
    run(first, one)
    seeds = made({}, lambda _: (Edit(lambda *_: None), Train(learn, start="original")))
    run(second, seeds)
    assert not same(weights(first), weights(second)), "another stage has another seed"
    changed = made(
        {},
        lambda _: (
            Edit(lambda model, _: [w.data.zero_() for w in model.trainable().values()] and None),
            Train(learn, start="original"),
        ),
    )
    third = tiny_model()
    run(third, changed)
    assert same(weights(second), weights(third)), "the second stage starts from the original"


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize(("reference", "stages"), [("original", 0), ("tuned", 1), ("twice", 2)])
def test_a_reference_is_the_model_as_the_named_stage_left_it(
    reference: str, stages: int, rank: int | None
) -> None:
    """Three stages learn, one compares: what it looks back at is run here to that stage.

    Two more start from named stages, so that the weights of all of them are kept.
    """
    first = (Train(learn, name="tuned"), Train(learn, name="twice"), Train(learn))
    earlier, gaps = tiny_model(), list[float]()
    if stages:
        run(earlier, made({}, lambda _: first[:stages]), lora_rank=rank, steps=2)

    def compare(step: Step) -> dict[str, Term]:
        with torch.no_grad():
            ours = earlier.answers(step.retain).log_probs
        theirs = step.reference.answers(step.retain).log_probs
        gaps.append(float((ours - theirs).abs().max()))
        return learn(step)

    last = Train(compare, reference=reference)
    later = [Train(learn, start=name, share=0.5) for name in ("tuned", "twice")]
    about = {"needs": ("forget", "retain", "reference")}
    run(tiny_model(), made(about, lambda _: (*first, last, *later)), lora_rank=rank, steps=2)
    assert len(gaps) == 2 and max(gaps) < 1e-6


@pytest.mark.parametrize("rank", [None, 2])
def test_previous_is_the_model_as_the_stage_finds_it(rank: int | None) -> None:
    gaps: list[float] = []

    def drift(step: Step) -> dict[str, Term]:
        ours = step.model.answers(step.retain).log_probs
        theirs = step.reference.answers(step.retain).log_probs
        gaps.append(float((ours - theirs).abs().max().detach()))
        return learn(step)

    two = made(
        {"needs": ("forget", "retain", "reference")},
        lambda _: (Train(learn), Train(drift, reference="previous")),
    )
    run(tiny_model(), two, lora_rank=rank)
    assert gaps[0] < 1e-6 < 1e-4 < gaps[-1]


def test_an_edit_looks_back_at_the_start() -> None:
    """A task vector of strength 0 is the original; of -1 the fine-tuned model."""
    original, tuned = tiny_model(), tiny_model()
    run(tuned, made({}, lambda _: (Train(method("task_vector").loss),)))
    undone = tiny_model()
    run(undone, method("task_vector", strength=0))
    before = dict(original.module.named_parameters())
    assert all(torch.equal(before[n], w) for n, w in weights(undone).items())
    negated = tiny_model()
    run(negated, method("task_vector", strength=1))
    for name, weight in weights(negated).items():
        moved = tuned.trainable()[name].detach() - before[name].detach()
        torch.testing.assert_close(weight, before[name].detach() - moved, atol=1e-7, rtol=1e-6)


def test_a_negated_adapter_is_the_adapter_with_the_other_sign() -> None:
    plain, negated = tiny_model(), tiny_model()
    run(plain, made({}, lambda _: (Train(method("task_vector").loss),)), lora_rank=2)
    run(negated, method("task_vector"), lora_rank=2)
    ours, theirs = weights(negated), weights(plain)
    assert any("lora_B" in name for name in ours)
    for name, weight in ours.items():
        assert torch.equal(weight, -theirs[name] if "lora_B" in name else theirs[name])


@pytest.mark.parametrize("name", ["sku", "task_vector"])
def test_a_kill_between_stages_and_in_one_changes_nothing(name: str, tmp_path: Path) -> None:
    whole = tiny_model()
    history = run(whole, method(name))
    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}

    class Killed(methods()[name], name="killed", paper="none"):  # type: ignore[misc]
        """Dies where its edit begins."""

        def negate(self, model: Model, data: Data) -> None:
            raise KilledError

    def stop(done: int, *_: object) -> None:
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run(tiny_model(), method(name), on_step=stop, **about)
    assert [path.name for path in (tmp_path / "stage-0").iterdir()] == ["checkpoint-0000001"]
    with pytest.raises(KilledError):
        run(tiny_model(), Killed(), **about)
    assert (tmp_path / "stage-0" / "done" / "manifest.json").is_file()
    told: list[int] = []
    again = tiny_model()
    assert run(again, method(name), on_step=lambda d, *_: told.append(d), **about) == history
    assert told == [], "a finished stage was done again"
    assert same(everything(whole), everything(again))


def test_a_damaged_stage_is_done_again(tmp_path: Path) -> None:
    whole, again = tiny_model(), tiny_model()
    run(whole, method("sku"))
    run(tiny_model(), method("sku"), checkpoints=tmp_path)
    file = tmp_path / "stage-0" / "done" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    run(again, method("sku"), checkpoints=tmp_path)
    assert same(everything(whole), everything(again))
    assert (tmp_path / "stage-0" / "done.corrupt-1").is_dir()


def test_state_is_prepared_where_training_begins_also_after_a_kill(tmp_path: Path) -> None:
    alive = [False]

    class Late(Method, name="late", paper="none", needs=("forget", "retain")):
        """Edits first, then trains with a state."""

        def stages(self) -> Sequence[Stage]:
            return (Edit(self.halve), Train(self.loss))

        def halve(self, model: Model, data: Data) -> None:
            with torch.no_grad():
                for weight in model.trainable().values():
                    weight.mul_(0.5)

        def prepare(self, model: Model, data: Data, seed: int) -> State:
            return {"size": torch.stack([w.abs().sum() for w in model.trainable().values()])}

        def loss(self, step: Step) -> dict[str, Term]:
            if not alive[0]:
                raise KilledError
            return learn(step) | {"size": uniform(step.state["size"].sum().reshape(1))}

    with pytest.raises(KilledError):
        run(tiny_model(), Late(), checkpoints=tmp_path)
    assert (tmp_path / "stage-0" / "done").is_dir()
    alive[0] = True
    whole, again = tiny_model(), tiny_model()
    assert run(again, Late(), checkpoints=tmp_path) == run(whole, Late())
    assert same(everything(whole), everything(again))


def dual() -> Method:
    class Dual(Method, name="dual", paper="none", needs=("forget", "retain")):
        """A multiplier that grows with the retain loss, as in primal-dual methods."""

        def prepare(self, model: Model, data: Data, seed: int) -> State:
            return {"multiplier": torch.tensor(0.5), "noise": torch.randn(3)}

        def loss(self, step: Step) -> dict[str, Term]:
            return learn(step) | {"dual": uniform(step.state["multiplier"].reshape(1))}

        def after_step(self, state: State, values: Mapping[str, float]) -> State:
            grown = state["multiplier"] + 0.1 * values["retain"]
            return state | {"multiplier": grown}

    return Dual()


def test_state_is_replaced_after_each_step_and_survives_a_kill(tmp_path: Path) -> None:
    whole, again = tiny_model(), tiny_model()
    history = run(whole, dual())
    expected = 0.5
    for values in history:
        assert values["dual"] == pytest.approx(expected)
        expected += 0.1 * values["retain"]
    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}

    def stop(done: int, *_: object) -> None:
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run(tiny_model(), dual(), on_step=stop, **about)
    assert run(again, dual(), **about) == history
    assert same(everything(whole), everything(again))
