"""Saves and restores the state of training, as safetensors and JSON: no pickle, no half folder.

Where several processes train replicas, the main one writes and the others wait for it; all read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from clearbench.processes import processes, summed
from clearbench.storage import is_finished, new_folder, quarantine, read_json, verify, write_json
from clearbench.training.goal import Reached
from clearbench.training.master_weights import MasterWeights

PREFIX, WEIGHTS, MOMENTS = "checkpoint-", "weights.safetensors", "optimizer.safetensors"
STATE, PROGRESS = "state.safetensors", "progress.json"
History = list[dict[str, float]]


@dataclass
class Progress:
    """The progress of a stage, besides its weights and the optimiser's moments.

    Attributes:
        state: State of the method.
        reached: State of the goal, which the method cannot replace.
        history: Values of each step.
    """

    state: dict[str, Tensor]
    reached: Reached = field(default_factory=dict)
    history: History = field(default_factory=list)


class Clock:
    """Decides when a checkpoint is due: the same in every process, by the main one's clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Begins the next interval."""
        self._began = time.monotonic()

    def is_due(self) -> bool:
        """Whether the interval is over; every process must call it."""
        shared, over = processes(), time.monotonic() - self._began > self.seconds
        if shared.num_processes == 1:
            return over
        mine = torch.tensor(float(over and shared.is_main_process), device=shared.device)
        return bool(summed(mine))


def save_checkpoint(
    folder: Path, weights: MasterWeights, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Saves all that the next steps depend on, then removes the checkpoint before it."""
    step = len(progress.history) - 1
    target = folder / f"{PREFIX}{step:07d}"
    if processes().is_main_process:
        with new_folder(target, {"step": step}) as temporary:
            save_file(_contiguous(weights.by_name), temporary / WEIGHTS)
            save_file(_moments(list(weights.by_name), optimizer), temporary / MOMENTS)
            _write(temporary, progress)
        for older in folder.glob(f"{PREFIX}*"):
            if older != target and ".corrupt" not in older.name:
                shutil.rmtree(older)
    processes().wait_for_everyone()


def load_checkpoint(
    folder: Path, weights: MasterWeights, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Restores the newest valid checkpoint, if there is one; moves damaged ones aside."""
    with processes().main_process_first():
        newest = _newest(folder)
        if newest is None:
            return None
        _restore(newest, weights, optimizer)
        return _read(newest)


def save_stage(folder: Path, weights: Mapping[str, Tensor], progress: Progress) -> None:
    """Saves the weights and the progress that a finished stage leaves to the next one."""
    if processes().is_main_process:
        with new_folder(folder, {}) as temporary:
            save_file(_contiguous(weights), temporary / WEIGHTS)
            _write(temporary, progress)
    processes().wait_for_everyone()


def load_stage(folder: Path) -> tuple[dict[str, Tensor], Progress] | None:
    """Reads the weights and the progress of a finished stage; moves a damaged one aside."""
    with processes().main_process_first():
        if not _is_valid(folder):
            return None
        return load_file(folder / WEIGHTS), _read(folder)


def _newest(folder: Path) -> Path | None:
    """The newest valid checkpoint."""
    candidates = sorted(folder.glob(f"{PREFIX}*"), reverse=True)
    valid = (path for path in candidates if ".corrupt" not in path.name and _is_valid(path))
    return next(valid, None)


def _is_valid(folder: Path) -> bool:
    """Whether a folder is whole and undamaged; one that is not is moved aside."""
    if not folder.is_dir():
        return False
    if is_finished(folder) and not verify(folder):
        return True
    quarantine(folder)
    return False


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _moments(names: Sequence[str], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors, named `parameter|field`."""
    return {
        f"{names[index]}|{key}": value.contiguous()
        for index, slot in optimizer.state_dict()["state"].items()
        for key, value in slot.items()
    }


def _write(folder: Path, progress: Progress) -> None:
    save_file(_contiguous(progress.state), folder / STATE)
    write_json(folder / PROGRESS, {"reached": progress.reached, "history": progress.history})


def _read(folder: Path) -> Progress:
    return Progress(load_file(folder / STATE), **read_json(folder / PROGRESS))


def _restore(folder: Path, weights: MasterWeights, optimizer: torch.optim.Optimizer) -> None:
    """Puts a checkpoint's weights and moments in place."""
    weights.restore(load_file(folder / WEIGHTS))
    order = {name: index for index, name in enumerate(weights.by_name)}
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(folder / MOMENTS).items():
        name, _, field_name = key.rpartition("|")
        slots.setdefault(order[name], {})[field_name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})
