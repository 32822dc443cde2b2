"""The one loop: what accumulation, kills, damage and divergence do to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import ClearbenchError, RecipeError
from clearbench.methods.base import Step, Train, method
from clearbench.methods.losses import Term, cross_entropy
from clearbench.models.adapters import add_lora
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.finetune import finetune
from clearbench.training.loop import train
from clearbench.training.reference import FrozenReference, make_reference
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged

Damage = Callable[[Path], None]


class KilledError(Exception):
    """Stands for a kill."""


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 6, "batch_size": 4, "learning_rate": 3e-3, "parts": ("language",)}
    return TrainSettings.model_validate(about | changes)


def weights(model: Model) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.module.state_dict().items()}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def npo(model: Model, **changes: Any) -> list[dict[str, float]]:
    where = {key: changes.pop(key) for key in ("checkpoints", "on_step") if key in changes}
    return unlearn(model, tiny_dataset(), method("npo"), ("text",), settings(**changes), **where)


def kill_after(steps: int) -> Callable[..., None]:
    def on_step(done: int, *_: object) -> None:
        if done == steps:
            raise KilledError

    return on_step


@pytest.mark.parametrize("accumulate", [2, 3, 4])
def test_accumulation_changes_nothing(accumulate: int) -> None:
    """First-step losses and gradient norm to 1e-5, the first 6 losses to 1e-5."""
    whole, cut = npo(tiny_model()), npo(tiny_model(), accumulate=accumulate)
    for a, b in zip(whole, cut, strict=True):
        assert a.keys() == b.keys()
        assert all(math.isclose(a[key], b[key], rel_tol=1e-5, abs_tol=1e-5) for key in a)


def test_more_micro_batches_than_rows_are_refused() -> None:
    with pytest.raises(ValidationError, match="accumulate 5 is more than the rows of a batch"):
        settings(accumulate=5)


def test_a_resumed_run_is_bit_identical(tmp_path: Path) -> None:
    whole, resumed = tiny_model(), tiny_model()
    history = npo(whole)
    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}
    with pytest.raises(KilledError):
        npo(tiny_model(), on_step=kill_after(4), **about)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-0000002"]
    seen: list[int] = []
    again = npo(resumed, on_step=lambda done, *_: seen.append(done), **about)
    assert seen == [4, 5, 6], "what was done before the checkpoint was done again"
    assert again == history
    assert same(weights(whole), weights(resumed))


def test_what_on_step_returns_is_kept_in_the_history_over_a_kill(tmp_path: Path) -> None:
    """Also where it returns something in some steps alone."""
    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}

    def scores(done: int, steps: int, values: dict[str, float]) -> dict[str, float] | None:
        assert steps == 6 and "loss" in values
        return {"score": done / 2} if done % 2 else None

    def stopped(done: int, steps: int, values: dict[str, float]) -> dict[str, float] | None:
        kill_after(4)(done)
        return scores(done, steps, values)

    plain = npo(tiny_model())
    with pytest.raises(KilledError):
        npo(tiny_model(), on_step=stopped, **about)
    kept = npo(tiny_model(), on_step=scores, **about)
    assert [values.pop("score", None) for values in kept] == [0.5, None, 1.5, None, 2.5, None]
    assert kept == plain


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Damage] = {"truncated": truncate, "one bit": flip, "deleted": Path.unlink}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["weights.safetensors", "optimizer.safetensors", "progress.json", "manifest.json"]
)
def test_a_damaged_checkpoint_is_never_used(name: str, damage: str, tmp_path: Path) -> None:
    whole, resumed = tiny_model(), tiny_model()
    npo(whole)
    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}
    with pytest.raises(KilledError):
        npo(tiny_model(), on_step=kill_after(4), **about)
    DAMAGES[damage](tmp_path / "checkpoint-0000002" / name)
    npo(resumed, **about)
    assert same(weights(whole), weights(resumed))
    aside = [path.name for path in tmp_path.iterdir() if ".corrupt" in path.name]
    assert aside == ["checkpoint-0000002.corrupt-1"]


@pytest.mark.parametrize(("damaged", "first"), [(False, 5), (True, 3)])
def test_an_older_checkpoint_serves_only_when_the_newest_is_damaged(
    damaged: bool, first: int, tmp_path: Path
) -> None:
    """A kill between writing a checkpoint and removing the one before it leaves both."""
    whole, resumed = tiny_model(), tiny_model()
    npo(whole)
    about = {"checkpoints": tmp_path, "checkpoint_seconds": 1e-9}
    for steps in (3, 5):
        with pytest.raises(KilledError):
            npo(tiny_model(), on_step=kill_after(steps), **about)
        if steps == 3:
            kept = {p.name: p.read_bytes() for p in (tmp_path / "checkpoint-0000001").iterdir()}
    older = tmp_path / "checkpoint-0000001"
    older.mkdir()
    for name, content in kept.items():
        (older / name).write_bytes(content)
    if damaged:
        truncate(tmp_path / "checkpoint-0000003" / "weights.safetensors")
    seen: list[int] = []
    npo(resumed, on_step=lambda done, *_: seen.append(done), **about)
    assert seen == [*range(first, 7)]
    assert same(weights(whole), weights(resumed))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_stops_before_the_update(bad: float, accumulate: int) -> None:
    model = tiny_model()
    model.train_only(("language",))
    snapshots: list[dict[str, Tensor]] = []

    def loss(step: Step) -> dict[str, Term]:
        if len(snapshots) < 2:
            snapshots.append(weights(model))
        term = cross_entropy(step.model.answers(step.retain))
        factor = bad if len(history) >= 2 else 1.0
        return {"fine": term, "broken": factor * term}

    history: list[int] = []
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:4]
    with pytest.raises(Diverged, match=r"not finite at step 2: .*broken = ") as caught:
        train(
            model, Train(loss), lambda *_: {"retain": rows}, settings(accumulate=accumulate), 0,
            on_step=lambda done, *_: history.append(done),
        )  # fmt: skip
    assert caught.value.step == 2 and history == [1, 2]
    assert not math.isfinite(caught.value.values["broken"])
    assert math.isfinite(caught.value.values["fine"])
    assert all(torch.isfinite(value).all() for value in weights(model).values())


def test_the_diverged_step_leaves_the_weights_alone() -> None:
    model = tiny_model()
    model.train_only(("language",))
    before = weights(model)
    rows = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:4]

    def loss(step: Step) -> dict[str, Term]:
        return {"forget": math.inf * cross_entropy(step.model.answers(step.retain))}

    with pytest.raises(Diverged):
        train(model, Train(loss), lambda *_: {"retain": rows}, settings(), 0)
    assert same(before, weights(model))


def l1(model: Model, chosen: Callable[[str], bool]) -> tuple[float, int]:
    found = [p.detach() for name, p in model.trainable().items() if chosen(name)]
    return float(sum(p.abs().sum() for p in found)), sum(p.numel() for p in found)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize(("on", "rank"), [("theta", None), ("theta", 2), ("adapter", 2)])
def test_the_penalty_is_the_l1_norm_of_what_it_names(
    on: str, rank: int | None, reduce: str
) -> None:
    model = tiny_model()
    about = {"strength": 0.5, "on": on, "reduce": reduce}
    logged = npo(model, steps=1, lora_rank=rank, penalty=about, learning_rate=1e-12)
    total, count = l1(model, lambda name: on == "theta" or "lora_" in name)
    expected = 0.5 * total / (count if reduce == "mean" else 1)
    assert logged[0]["penalty"] == pytest.approx(expected, rel=1e-5)
    assert total > 0


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_the_penalty_on_the_change_starts_at_zero(reduce: str) -> None:
    model = tiny_model()
    before = weights(model)
    about = {"strength": 2.0, "on": "delta", "reduce": reduce}
    logged = npo(model, steps=2, penalty=about, learning_rate=1e-3, warmup=0, decay="none")
    assert logged[0]["penalty"] == 0.0
    model = tiny_model()
    npo(model, steps=1, penalty=about, learning_rate=1e-3, warmup=0, decay="none")
    moved = [(p.detach() - before[name]).abs() for name, p in model.trainable().items()]
    total, count = float(sum(m.sum() for m in moved)), sum(m.numel() for m in moved)
    expected = 2.0 * total / (count if reduce == "mean" else 1)
    assert logged[1]["penalty"] == pytest.approx(expected, rel=1e-4)


def test_the_penalty_is_the_same_in_micro_batches() -> None:
    about = {"strength": 0.1, "on": "theta"}
    whole, cut = npo(tiny_model(), penalty=about), npo(tiny_model(), penalty=about, accumulate=2)
    assert [a["penalty"] for a in whole] == pytest.approx([b["penalty"] for b in cut], rel=1e-5)


def test_a_penalty_on_adapters_without_adapters_is_refused() -> None:
    with pytest.raises(ValidationError, match="penalty on 'adapter' needs lora_rank"):
        settings(penalty={"strength": 1})


def test_teaching_with_adapters_trains_adapters_only() -> None:
    model = tiny_model()
    finetune(model, tiny_dataset(), settings(steps=2, lora_rank=2))
    assert model.trainable() and all("lora_" in name for name in model.trainable())


@pytest.mark.parametrize(
    "about",
    [
        {"saliency": 0.5},
        {"rule": "pcgrad"},
        {"until": {"text": 1}},
        {"max_retain_rise": 1},
    ],
)
def test_settings_of_forgetting_are_refused_in_teaching(about: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=f"'{next(iter(about))}' is about forgetting"):
        finetune(tiny_model(), tiny_dataset(), settings(**about))


def test_adapters_begin_where_the_seed_says() -> None:
    """Also when a run was killed before its first checkpoint, in another process."""
    first, second = tiny_model(), tiny_model()
    torch.manual_seed(1)
    npo(first, lora_rank=2)
    torch.manual_seed(2)
    npo(second, lora_rank=2)
    assert same(weights(first), weights(second))


def test_a_part_that_is_not_there_is_refused() -> None:
    for teach in (finetune, lambda m, d, s: unlearn(m, d, method("npo"), ("text",), s)):
        with pytest.raises(ClearbenchError, match="nothing to train in vision"):
            teach(tiny_model(), tiny_dataset(), settings(parts=("vision",)))


def test_the_rate_rises_then_falls_to_the_floor() -> None:
    schedule = settings(steps=100, learning_rate=1.0, warmup=0.1, floor=0.1, decay="linear")
    rates = [schedule.rate(step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (k + 1) for k in range(10)])
    assert rates[10] == 1.0 and rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert settings(warmup=0, decay="none").rate(5) == 3e-3


def test_only_what_decides_the_result_decides_it() -> None:
    """Checkpoints and their frequency leave no trace in the weights."""
    first, second = tiny_model(), tiny_model()
    npo(first)
    npo(second, checkpoint_seconds=1.0)
    assert same(weights(first), weights(second))


@pytest.mark.parametrize("kind", ["language", "vision-language", "classifier"])
@pytest.mark.parametrize("rank", [None, 2])
def test_stored_log_probabilities_are_the_frozen_models(kind: str, rank: int | None) -> None:
    model = tiny_model(kind)
    data = tiny_dataset().for_kind(kind)
    rows = [item(row) for row in data.train_rows("forget")]
    chosen = [each for each in rows if model.accepts(each)]
    frozen = FrozenReference(model.duplicate())
    if rank is not None:
        add_lora(model, model.parts, rank)
        for name, weight in model.module.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight)
    before = model.module.training
    needs = ("reference_log_probs", "forget")
    stored = make_reference(model, needs, lambda *_: {"forget": chosen}, 0, 2)
    batches = model.batch(chosen)
    torch.testing.assert_close(
        stored.sequence_log_probs(batches), frozen.sequence_log_probs(batches), atol=1e-4, rtol=1e-5
    )
    assert model.module.training is before
    with pytest.raises(RecipeError, match="no such reference"):
        stored.answers(batches)
