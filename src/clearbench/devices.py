"""Chooses the device that models compute on, and a GPU for each worker process."""

from __future__ import annotations

import os
from collections.abc import Mapping

from clearbench.errors import ModelError
from clearbench.libraries import torch
from clearbench.processes import processes

#: Name of the device that is there: a GPU, else Apple's, if its float32 is right, else the CPU.
AUTO = "auto"
#: Largest relative difference of a matrix product in float32 from that of the CPU.
SAME_PRODUCT = 1e-4
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def compute_device(asked: str | torch.device | None = None) -> torch.device:
    """Chooses the device that models compute on.

    Under `accelerate launch` or `torchrun` each process has a GPU of its own.

    Args:
        asked: Name such as `cpu`, `cuda`, `cuda:1` or `mps`; `auto` or None for the one that is
            there.

    Raises:
        ModelError: This machine has no such device.
    """
    if asked is None or str(asked) == AUTO:
        return _present()
    name = str(asked)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _no_device(name) from error
    several = processes().num_processes > 1 and device.index is None
    if several and device.type == _own().type:
        return _own()
    if device.type != "cpu" and not _is_there(device):
        raise _no_device(name)
    return device


def check_device(asked: str) -> None:
    """Refuses a device that this machine has not; the engine is not asked about the CPU.

    Raises:
        ModelError: This machine has no such device.
    """
    if asked not in (AUTO, "cpu"):
        compute_device(asked)


def _present() -> torch.device:
    """The accelerator that is there, else the CPU."""
    if torch.cuda.is_available() or processes().num_processes > 1:
        return _own()
    if torch.backends.mps.is_available() and _computes(torch.device("mps")):
        return torch.device("mps")
    return torch.device("cpu")


def _own() -> torch.device:
    """The device of this process."""
    own: torch.device = processes().device
    return own


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    here = torch.accelerator.current_accelerator()
    return here is not None and here.type == device.type and torch.accelerator.is_available()


def _computes(device: torch.device) -> bool:
    """Whether a matrix product in float32 is that of the CPU."""
    rows = torch.linspace(-1, 1, 64 * 64).reshape(64, 64)
    ours = (rows.to(device) @ rows.to(device)).cpu()
    return torch.allclose(ours, rows @ rows, rtol=SAME_PRODUCT, atol=SAME_PRODUCT)


def _no_device(name: str) -> ModelError:
    here = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    here += ["mps"] if torch.backends.mps.is_available() else []
    return ModelError(f"there is no device '{name}'", "device", f"this machine has: {here}")


def to_own_device(module: torch.nn.Module) -> None:
    """Moves a module to the device of this process, where several processes were launched."""
    if processes().num_processes > 1:
        module.to(processes().device)


def gpus(asked: str = AUTO) -> list[str]:
    """Lists the GPUs that worker processes share out, as CUDA_VISIBLE_DEVICES names them.

    Empty where there is none, or where another device, or one GPU by its number, is asked for.
    """
    if asked not in (AUTO, "cuda"):
        return []
    count, visible = torch.cuda.device_count(), os.environ.get(_VISIBLE)
    named = visible.split(",") if visible else [str(number) for number in range(count)]
    return named[:count]


def own_gpu(number: int, shared: list[str]) -> Mapping[str, str]:
    """Returns the environment in which a worker sees one GPU, in turn; empty without GPUs."""
    return {_VISIBLE: shared[number % len(shared)]} if shared else {}
