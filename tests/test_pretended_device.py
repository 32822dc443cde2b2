"""Whatever computes runs on the device of its model: every operation of it, on true values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import nn

from clearbench import api, devices
from clearbench.batches.items import item
from clearbench.builtin import models
from clearbench.models import load
from clearbench.models.base import Model
from clearbench.runs.stages.model import ModelSource
from clearbench.testing import tiny_dataset
from clearbench.testing.pretended_device import DEVICE, PretendedDevice, pretended_device
from clearbench.testing.world import copied, taught

KINDS: Any = ("language", "vision-language", "classifier")
#: Operations that do the work; none of them is on the CPU.
WORK = (
    "mm",
    "bmm",
    "addmm",
    "convolution",
    "embedding",
    "_softmax",
    "_log_softmax",
    "native_layer_norm",
)


@pytest.fixture
def device() -> Iterator[PretendedDevice]:
    with pretended_device() as there:
        yield there


def moved(kind: Any) -> Model:
    model = copied(taught(kind))
    model.module.to(DEVICE)
    return model


def on_cpu(device: PretendedDevice) -> dict[str, int]:
    """Operations of the network, by name, that took place on the CPU."""
    return {name: n for name, n in device.on_cpu.items() if name.split(".")[0] in WORK and n}


def test_values_are_true_and_mixing_is_refused(device: PretendedDevice) -> None:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6.0).reshape(2, 3))
        layer.bias.zero_()
    layer.to(DEVICE)
    rows = torch.tensor([[1.0, 1.0, 2.0]], device=DEVICE)
    assert layer.weight.device == rows.device == layer(rows).device == DEVICE
    assert layer(rows).tolist() == [[5.0, 17.0]]
    assert device.waits == {"_to_copy.default": 1}
    layer(rows).sum().backward()
    assert layer.weight.grad.cpu().tolist() == [[1.0, 1.0, 2.0]] * 2  # type: ignore[union-attr]
    for wrong in (lambda: layer(torch.ones(1, 3)), lambda: rows + torch.ones(3)):
        with pytest.raises(RuntimeError, match="mixes devices"):
            wrong()


def test_memory_is_that_of_the_tensors_that_are_there(device: PretendedDevice) -> None:
    first = torch.zeros(1000, device=DEVICE)
    second = first + 1
    view = second[:10]
    del first, second
    assert (device.bytes_now, device.most_bytes) == (4000, 8000)
    del view
    assert device.bytes_now == 0


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_states_are_those_of_the_cpu(device: PretendedDevice, kind: Any) -> None:
    ours, model = copied(taught(kind)), moved(kind)
    rows = tiny_dataset().for_kind(kind).train_rows("forget")
    items = [each for each in map(item, rows) if model.accepts(each)][-3:]
    wanted = ours.score_items(items)
    device.clear()
    found = model.score_items(items)
    for each in items:
        assert found[each].log_probs == pytest.approx(wanted[each].log_probs, abs=1e-4)
    batches = model.batch(items)
    assert {t.device for batch in batches for t in batch.inputs.values()} == {DEVICE}
    assert model.states(batches, 1).device == model.answers(batches).logits.device == DEVICE
    assert not on_cpu(device)


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_answers_are_those_of_the_cpu(device: PretendedDevice, kind: Any) -> None:
    ours, model = copied(taught(kind)), moved(kind)
    rows = tiny_dataset().for_kind(kind).train_rows("forget")
    items = [each for each in map(item, rows) if model.accepts(each)][-2:]
    wanted = ours.generate(items, 4)
    device.clear()
    assert model.generate(items, 4) == wanted and all(wanted)
    assert not on_cpu(device)


def test_what_is_loaded_and_trained_is_on_the_device_that_was_asked_for(
    device: PretendedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_is_there", lambda _: True)
    monkeypatch.setattr(load, "_loaded", lambda *_: copied(taught("language")))
    there = load.load_model("somewhere", device="meta")
    here = load.load_model("somewhere", device="cpu")
    wrapped = load.load_model(here.module, here.processor)
    assert (there.device, here.device, wrapped.device) == (DEVICE, *[torch.device("cpu")] * 2)
    rows: Any = {"steps": 1, "batch_size": 2, "parts": ("language",)}
    assert api.finetune(there, tiny_dataset(), **rows).device == DEVICE
    assert api.finetune(here, tiny_dataset(), **rows).device == torch.device("cpu")
    assert api.finetune(here, tiny_dataset(), device="meta", **rows).device == DEVICE
    assert here.device == torch.device("cpu")


def test_a_stage_loads_its_model_to_the_device_of_its_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(load, "load_model", lambda *_, device, **__: asked.append(device))
    monkeypatch.setattr(models, "builtin_model", lambda *given: asked.append(given[-1]))
    for source in ("folder", "builtin"):
        with suppress(AttributeError):  # of the model that was not loaded
            ModelSource("language", source).load(tiny_dataset(), 0, DEVICE)
    assert asked == [DEVICE, DEVICE]
