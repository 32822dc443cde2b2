"""The state of a training run, as safetensors and JSON: no pickle, nothing half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from clearbench.models.base import Model
from clearbench.storage import is_finished, new_folder, quarantine, read_json, verify, write_json

PREFIX = "checkpoint-"


def save_checkpoint(
    folder: Path,
    step: int,
    model: Model,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, float]],
    state: dict[str, Tensor],
) -> None:
    """Saves all that the steps after `step` depend on, then drops the checkpoint before it."""
    target = folder / f"{PREFIX}{step:07d}"
    names = list(model.trainable())
    with new_folder(target, {"step": step}) as temporary:
        save_file(
            {n: p.detach().contiguous() for n, p in model.trainable().items()},
            temporary / "weights.safetensors",
        )
        moments = {
            f"{names[index]}|{key}": value.contiguous()
            for index, slot in optimizer.state_dict()["state"].items()
            for key, value in slot.items()
        }
        save_file(moments, temporary / "optimizer.safetensors")
        save_file(dict(state) or {"none": torch.zeros(1)}, temporary / "state.safetensors")
        write_json(temporary / "history.json", history)
    for old in folder.glob(f"{PREFIX}*"):
        if old != target and ".corrupt" not in old.name:
            shutil.rmtree(old)


def load_checkpoint(
    folder: Path, model: Model, optimizer: torch.optim.Optimizer
) -> tuple[int, list[dict[str, float]], dict[str, Tensor]] | None:
    """Restores the newest trustworthy checkpoint; a damaged one is moved aside.

    Returns:
        The next step, the history so far and the method's state, or None when there is none.
    """
    for candidate in sorted(folder.glob(f"{PREFIX}*"), reverse=True):
        if ".corrupt" in candidate.name:
            continue
        if not is_finished(candidate) or verify(candidate):
            quarantine(candidate)
            continue
        _restore(candidate, model, optimizer)
        state = load_file(candidate / "state.safetensors")
        state.pop("none", None)
        step = int(candidate.name.removeprefix(PREFIX))
        return step + 1, read_json(candidate / "history.json"), state
    return None


def _restore(folder: Path, model: Model, optimizer: torch.optim.Optimizer) -> None:
    weights = load_file(folder / "weights.safetensors")
    parameters = model.trainable()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    order = {name: index for index, name in enumerate(parameters)}
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        name, _, field = key.rpartition("|")
        slots.setdefault(order[name], {})[field] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})
