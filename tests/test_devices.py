"""One place chooses the device, and each worker process has a GPU of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench import devices
from clearbench.devices import compute_device, gpus, own_gpu
from clearbench.errors import ModelError
from clearbench.runs import execute
from clearbench.runs.execute import Runtime, _Schedule


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("asked", ["cuda:4", "cuda:12", "mps", "gpu", "cpu:x", ""])
def test_a_device_that_is_not_there_is_named(asked: str, four_gpus: None) -> None:
    with pytest.raises(ModelError, match=f"there is no device '{asked}'") as error:
        compute_device(asked)
    assert "cpu" in error.value.fix and "cuda:3" in error.value.fix


@pytest.mark.parametrize(
    ("asked", "found"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:3", "cuda:3")]
)
def test_a_device_that_is_there_is_taken(asked: str, found: str, four_gpus: None) -> None:
    assert str(compute_device(asked)) == str(compute_device(torch.device(asked))) == found


@pytest.mark.parametrize("right", [True, False])
def test_apples_device_is_taken_where_it_computes_right(
    monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(devices, "_computes", lambda device: right and device.type == "mps")
    assert compute_device().type == compute_device("auto").type == ("mps" if right else "cpu")


def test_a_device_computes_right_where_its_products_are_those_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    assert devices._computes(cpu)
    monkeypatch.setattr(torch, "allclose", lambda ours, theirs, **_: not bool(ours.any()))
    assert not devices._computes(cpu)


@pytest.mark.parametrize(
    ("visible", "asked", "shared"),
    [
        (None, "auto", ["0", "1", "2", "3"]),
        (None, "cuda", ["0", "1", "2", "3"]),
        ("5,7,GPU-ab,2", "auto", ["5", "7", "GPU-ab", "2"]),
        (None, "cpu", []),
        (None, "cuda:2", []),
    ],
)
def test_gpus_are_shared_out_in_turn(
    monkeypatch: pytest.MonkeyPatch, four_gpus: None, visible: Any, asked: str, shared: list[str]
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus(asked) == shared
    seen = [dict(own_gpu(number, shared)) for number in range(6)]
    assert seen == [
        {"CUDA_VISIBLE_DEVICES": shared[number % 4]} if shared else {} for number in range(6)
    ]


def test_there_is_a_worker_for_each_gpu_unless_told(four_gpus: None) -> None:
    assert Runtime().processes == 4
    assert Runtime(workers=9).processes == 9
    assert Runtime(device="cpu").processes == max(1, min(8, os.cpu_count() or 1))


def test_each_worker_sees_its_own_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, four_gpus: None
) -> None:
    runtime = Runtime(workers=6, device="cuda")
    waiting: Any = [Waiting() for _ in range(5)]
    schedule = _Schedule(tmp_path, waiting, {}, runtime, None)  # type: ignore[arg-type]
    monkeypatch.setattr(_Schedule, "_drop_impossible", lambda self: self.waiting.clear())
    monkeypatch.setattr(
        execute, "critical_weights", lambda stages: {each.key: 1 for each in stages}
    )
    schedule.run()
    made = schedule.workers
    assert [each.environment["CUDA_VISIBLE_DEVICES"] for each in made] == ["0", "1", "2", "3", "0"]
    assert {each.device for each in made} == {"cuda"}


class Waiting:
    key = "model-a"
