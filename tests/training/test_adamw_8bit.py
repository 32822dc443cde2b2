"""AdamW with moments of a byte each: close to the whole one, small, and saved as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clearbench.methods.base import method
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.pretended_device import DEVICE, pretended_device
from clearbench.training import adamw_8bit
from clearbench.training.adamw_8bit import AdamW8bit, levels, moment_bytes, restored, rounded
from clearbench.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from clearbench.training.master_weights import MasterWeights
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn


def pair(shape: tuple[int, ...]) -> tuple[nn.Parameter, nn.Parameter]:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return nn.Parameter(start.clone()), nn.Parameter(start.clone())


def slopes(shape: tuple[int, ...], count: int) -> list[Tensor]:
    return [torch.randn(shape, generator=torch.Generator().manual_seed(k)) for k in range(count)]


def test_levels_are_256_and_finer_towards_1() -> None:
    """The published maps: symmetric but for 1 and 0, and twice as fine without a sign."""
    for signed in (True, False):
        found = levels(signed=signed)
        assert (len(set(found)), found[-1]) == (256, 1.0)
        assert list(found) == sorted(found)
    assert levels(signed=False)[:2] == (0.0, pytest.approx(1e-6 * 0.325))
    assert levels(signed=True)[0] == pytest.approx(-(1 - 0.9 / 128))


def test_values_are_rounded_to_half_a_gap_of_their_block() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 3
    gaps = torch.tensor(levels(signed=True)).diff().max()
    back = restored(*rounded(values, signed=True), signed=True)
    largest = values.abs()[:768].view(3, 256).amax(1)
    assert (back - values)[:768].abs().view(3, 256).amax(1).le(gaps / 2 * largest + 1e-6).all()
    assert len(back) == 1000


def test_what_is_above_0_stays_there_and_0_stays_0() -> None:
    values = torch.tensor([1.0, 1e-12, 0.0])
    back = restored(*rounded(values, signed=False), signed=False)
    assert back.tolist() == [1.0, pytest.approx(1e-6 * 0.325), 0.0]
    assert restored(*rounded(torch.zeros(3), signed=False), signed=False).tolist() == [0.0] * 3


@pytest.mark.parametrize("together", [512, 2**20])
def test_steps_are_those_of_the_whole_one_within_the_rounding(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step sees no rounded moment; later ones one that is off by some hundredths."""
    monkeypatch.setattr(adamw_8bit, "TOGETHER", together)
    shape, rate = (40, 130), 1e-2
    ours, theirs = pair(shape)
    small = AdamW8bit([ours], rate, 0.1)
    whole = torch.optim.AdamW([theirs], lr=rate, weight_decay=0.1)
    start = ours.detach().clone()
    for number, slope in enumerate(slopes(shape, 4)):
        for weight, optimizer in ((ours, small), (theirs, whole)):
            weight.grad = slope.clone()
            optimizer.step()
        if number == 0:
            assert torch.allclose(ours, theirs, atol=1e-6)
    apart, moved = (ours - theirs).abs(), (theirs - start).abs()
    assert apart.mean() < 0.05 * moved.mean()
    assert not torch.equal(ours, theirs)


def test_small_tensors_keep_whole_moments() -> None:
    ours, theirs = pair((8, 30))
    small, whole = AdamW8bit([ours], 1e-2, 0.0), torch.optim.AdamW([theirs], 1e-2, weight_decay=0.0)
    for slope in slopes((8, 30), 5):
        for weight, optimizer in ((ours, small), (theirs, whole)):
            weight.grad = slope.clone()
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_gradient_that_ends_does_not_burst() -> None:
    """After a large gradient elsewhere and a tiny one here, a step is no longer than the rate."""
    weight = nn.Parameter(torch.zeros(4096))
    optimizer = AdamW8bit([weight], 1e-2, 0.0)
    weight.grad = torch.full((4096,), 1e-5)
    weight.grad[0] = 1.0
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = torch.zeros(4096)
    optimizer.step()
    assert (weight - before).abs().max() <= 1e-2


def test_moments_take_two_bytes_a_weight() -> None:
    weights = [nn.Parameter(torch.zeros(100, 100)), nn.Parameter(torch.zeros(10))]
    optimizer = AdamW8bit(weights, 1e-2, 0.0)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    kept = [value.nbytes for slot in optimizer.state.values() for value in slot.values()]
    assert sum(kept) == 2 * 4 + sum(moment_bytes(weight.numel()) for weight in weights)
    assert moment_bytes(10_000) == 2 * 10_000 + 2 * 4 * 40


def test_a_broken_step_changes_nothing() -> None:
    weight, _ = pair((70, 70))
    optimizer = AdamW8bit([weight], 1e-2, 0.1)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    held: Any = lambda: [weight.detach(), *optimizer.state[weight].values()]  # noqa: E731
    before = [value.clone() for value in held()]
    weight.grad = torch.full_like(weight, float("nan"))
    optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(held(), before, strict=True))


def test_a_resumed_run_has_the_same_moments(tmp_path: Path) -> None:
    one, other = pair((70, 70))
    optimizer, second = AdamW8bit([one], 1e-2, 0.1), AdamW8bit([other], 1e-2, 0.1)
    one.grad = torch.randn(70, 70)
    optimizer.step()
    weights = MasterWeights({"w": one})
    save_checkpoint(tmp_path, weights, optimizer, Progress({}, history=[{}]))
    assert load_checkpoint(tmp_path, MasterWeights({"w": other}), second) is not None
    for weight, own in ((one, optimizer), (other, second)):
        weight.grad = torch.ones(70, 70)
        own.step()
    assert torch.equal(one, other)
    assert second.state[other]["first"].dtype == torch.uint8


def test_a_run_unlearns_with_it() -> None:
    settings = {"steps": 2, "batch_size": 1, "parts": ("language",), "learning_rate": 1e-3}
    losses = []
    for name in ("adamw", "adamw_8bit"):
        own = TrainSettings.model_validate(settings | {"optimizer": name})
        data = tiny_dataset().for_kind("language")
        losses.append(unlearn(tiny_model(), data, method("npo"), ("text",), own)[-1]["loss"])
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.02)
    assert "optimizer" not in TrainSettings(steps=1).model_dump()


def test_a_device_is_asked_for_nothing() -> None:
    """Its updates are those of the CPU, and its queue never runs dry."""
    shape, own = (70, 70), pair((70, 70))
    start = own[0].detach().clone()
    with pretended_device() as device:
        there = nn.Parameter(start.to(DEVICE))
        optimizers = [AdamW8bit([own[0]], 1e-2, 0.1), AdamW8bit([there], 1e-2, 0.1)]
        optimizers[1].found_inf = torch.zeros((), device=DEVICE)  # type: ignore[attr-defined]
        for slope in slopes(shape, 2):
            own[0].grad, there.grad = slope, slope.to(DEVICE)
            device.clear()
            for optimizer in optimizers:
                optimizer.step()
            assert not device.waits
        assert torch.allclose(there.detach().cpu(), own[0], atol=1e-6)
