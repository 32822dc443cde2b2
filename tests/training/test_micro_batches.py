"""A step is cut by what it keeps in memory: fewer bytes, the same numbers."""

from __future__ import annotations

import math
from typing import Any
from weakref import ref

import pytest
import torch
from torch import nn

from clearbench.batches.items import item
from clearbench.methods.base import method
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.pretended_device import DEVICE, pretended_device
from clearbench.training import loop, micro_batches
from clearbench.training.micro_batches import MicroBatches, kept_bytes
from clearbench.training.settings import TrainSettings
from clearbench.training.shares import Part
from clearbench.training.unlearn import unlearn


def npo(name: str = "npo", model: Model | None = None, **changes: Any) -> list[dict[str, float]]:
    about = {"steps": 3, "batch_size": 4, "parts": ("language",), "lora_rank": 2}
    settings = TrainSettings.model_validate(about | changes)
    return unlearn(model or tiny_model(), tiny_dataset(), method(name), ("text",), settings)


def close(first: list[dict[str, float]], second: list[dict[str, float]]) -> bool:
    return len(first) == len(second) and all(
        a == pytest.approx(b, rel=1e-5, abs=1e-5) for a, b in zip(first, second, strict=True)
    )


def test_kept_bytes_are_those_of_a_product() -> None:
    """x @ w keeps x for w's gradient; its square keeps the product: 3 x 5 and 3 x 2 floats."""
    layer, x = nn.Linear(5, 2, bias=False), torch.ones(3, 5)
    assert kept_bytes(layer.parameters(), lambda: layer(x)) == 4 * 15
    assert kept_bytes(layer.parameters(), lambda: layer(x).square()) == 4 * (15 + 6)
    layer.weight.requires_grad_(False)
    assert kept_bytes(layer.parameters(), lambda: layer(x)) == 0


def test_what_is_dropped_meanwhile_is_not_kept() -> None:
    layer, x = nn.Linear(5, 2, bias=False), torch.ones(3, 5)

    def compute() -> Any:
        (gradient,) = torch.autograd.grad(layer(x).square().sum(), layer.weight)
        return gradient

    assert kept_bytes(layer.parameters(), compute) == 0


def test_what_was_measured_is_freed() -> None:
    """An output that is kept, as that of exp is, must not keep its own graph."""
    layer, seen = nn.Linear(5, 2), list[Any]()

    class Mark:
        """Goes when the graph goes."""

    def compute() -> Any:
        result, mark = layer(torch.ones(3, 5)).exp(), Mark()
        result.grad_fn.metadata["mark"] = mark
        seen.append(ref(mark))
        return result.sum()

    assert kept_bytes(layer.parameters(), compute) == 4 * (15 + 6)
    assert seen[0]() is None


def cutter(monkeypatch: pytest.MonkeyPatch, share: float, rows: int = 4) -> tuple[Any, list[Part]]:
    """Micro-batches of a model whose activations, 1 KB a token, may take a share of a step's."""
    model = tiny_model()
    items = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))[:rows]]
    tokens = sum(len(model.tree([row])) for row in items)
    weights = sum(weight.nbytes for weight in model.module.parameters())
    monkeypatch.setattr(micro_batches, "CUT_FROM", 0)
    monkeypatch.setattr(micro_batches, "EXTRA_GRADIENTS", 0)
    monkeypatch.setattr(micro_batches, "LEAST_TOKENS", 1)
    monkeypatch.setattr(micro_batches, "KEPT_SHARE", share * 1024 * tokens / weights)
    monkeypatch.setattr(
        micro_batches, "kept_bytes", lambda _, rows: 1024 * sum(len(model.tree([r])) for r in rows)
    )
    cut = MicroBatches(model, TrainSettings(steps=1, batch_size=rows))
    parts = [Part(1.0, {"retain": items})]
    made: Any = lambda parts: [row for part in parts for row in part.drawn["retain"]]  # noqa: E731
    cut.measure(parts, ("retain",), made)
    return cut, parts


@pytest.mark.parametrize("share", [1.0, 0.8, 0.6, 0.4])
def test_a_step_is_cut_no_more_than_it_must_be(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are dealt out in turn; the longest hand decides."""
    cut, parts = cutter(monkeypatch, share)
    tokens = [len(cut.model.tree([row])) for row in parts[0].drawn["retain"]]
    largest = {k: max(sum(tokens[first::k]) for first in range(k)) for k in (1, 2, 3, 4)}
    fits = [k for k in (1, 2, 3, 4) if largest[k] <= share * sum(tokens) + 1e-6]
    assert cut.count(parts, ("retain",)) == fits[0]


def test_a_step_is_cut_into_single_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, parts = cutter(monkeypatch, 0.01)
    assert cut.count(parts, ("retain",)) == 4


@pytest.mark.parametrize("share", [1.0, 0.6, 0.5])
def test_micro_batches_of_few_tokens_are_not_cut(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, parts = cutter(monkeypatch, 0.01)
    tokens = sum(len(cut.model.tree([row])) for part in parts for row in part.drawn["retain"])
    monkeypatch.setattr(micro_batches, "LEAST_TOKENS", math.ceil(share * tokens))
    largest = [
        max(sum(len(cut.model.tree([row])) for row in rows[k::count]) for k in range(count))
        for count in range(1, 5)
        for rows in [parts[0].drawn["retain"]]
    ]
    expected = next(k for k, most in enumerate(largest, 1) if most <= math.ceil(share * tokens))
    assert cut.count(parts, ("retain",)) == expected


def test_gradients_that_take_more_than_is_saved_leave_a_step_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut, parts = cutter(monkeypatch, 0.3)
    monkeypatch.setattr(micro_batches, "EXTRA_GRADIENTS", 10**9)
    assert cut.count(parts, ("retain",)) == 1


def test_small_models_are_never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, parts = cutter(monkeypatch, 0.01)
    monkeypatch.setattr(micro_batches, "CUT_FROM", 2**40)
    small = MicroBatches(cut.model, TrainSettings(steps=1, batch_size=4))
    small.measure(parts, ("retain",), lambda _: pytest.fail("measured"))
    assert small.count(parts, ("retain",)) == 1


@pytest.mark.parametrize("said", [1, 2])
def test_a_number_of_micro_batches_that_is_said_holds(
    said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, parts = cutter(monkeypatch, 0.01)
    told = MicroBatches(cut.model, TrainSettings(steps=1, batch_size=4, accumulate=said))
    told.measure(parts, ("retain",), lambda _: pytest.fail("measured"))
    assert told.count(parts, ("retain",)) == said


def counted_single_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets steps be cut into single rows; returns the list of each step's micro-batches."""
    for constant, value in (
        ("CUT_FROM", 0),
        ("EXTRA_GRADIENTS", 0),
        ("KEPT_SHARE", 1e-6),
        ("LEAST_TOKENS", 1),
    ):
        monkeypatch.setattr(micro_batches, constant, value)
    seen: list[int] = []
    gradients = loop.gradients

    def recorded(parameters: Any, cut: Any, *more: Any) -> Any:
        seen.append(len(cut))
        return gradients(parameters, cut, *more)

    monkeypatch.setattr(loop, "gradients", recorded)
    return seen


@pytest.mark.parametrize("name", ["npo", "npo_sam", "kl_minimization", "rmu"])
def test_a_run_that_is_cut_has_the_same_losses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = npo(name)
    seen = counted_single_rows(monkeypatch)
    assert close(npo(name), whole)
    assert set(seen) == {4}, "a row of each role"


def test_a_step_without_memory_is_taken_in_halves() -> None:
    """What the first half of a step has left of gradients counts nowhere."""
    whole, model, passes = npo(), tiny_model(), list[int]()

    def short(_: Any, __: Any) -> None:
        if torch.is_grad_enabled():
            passes.append(len(passes))
            if passes[-1] in (0, 3):  # the whole step, and the retain rows of its second half
                raise torch.OutOfMemoryError("no memory")

    model.core.get_input_embeddings().register_forward_pre_hook(short)
    assert close(npo(model=model), whole)
    assert len(passes) == 1 + 3 + 3 * 8, "later steps are cut from the start"


def test_a_row_without_memory_ends_a_run() -> None:
    model = tiny_model()

    def short(_: Any, __: Any) -> None:
        if torch.is_grad_enabled():
            raise torch.OutOfMemoryError("no memory")

    model.core.get_input_embeddings().register_forward_pre_hook(short)
    with pytest.raises(torch.OutOfMemoryError):
        npo(model=model)


def test_one_row_of_each_role_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring more would itself be the peak of a run that is cut into single rows."""
    cut, parts = cutter(monkeypatch, 0.01)
    measured: list[list[Any]] = []
    cut.measure(parts, ("retain",), lambda few: measured.append(few[0].drawn["retain"]) or [])
    assert measured == [parts[0].drawn["retain"][:1]]


def test_a_device_is_cut_only_where_its_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a CPU would take single rows: whole steps, and halves at two thirds of their memory."""
    seen = counted_single_rows(monkeypatch)
    with pretended_device() as device:

        def run(share: float | None) -> tuple[list[dict[str, float]], int]:
            model = tiny_model()
            model.module.to(DEVICE)
            device.clear()
            before, device.capacity = device.bytes_now, None
            if share is not None:
                device.capacity = before + int(share * needed)
            history = npo(model=model, steps=2, batch_size=2)
            return history, device.most_bytes - before

        whole, needed = run(None)
        assert set(seen) == {1}
        seen.clear()
        halves, less = run(2 / 3)
    assert seen[:2] == [1, 2] and 1 not in seen[1:], "cut once it ran out, and from then on"
    assert less <= needed * 2 / 3
    assert close(halves, whole)
