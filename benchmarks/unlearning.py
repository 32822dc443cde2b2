"""Unlearning against a plain loop: CPU-seconds per step, peak memory, and equal gradients.

    OMP_NUM_THREADS=1 python benchmarks/unlearning.py [METHOD ...]

Both sides unlearn the same rows of the same model in the same order. A run is several epochs over
a small forget set, as published runs are; all of it is timed, what is read beforehand included.
*Products alone* are the seconds that the matrix products of a step would take at the rate of one
large product.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import plain_unlearning
import torch
from measure import cpu_seconds, matrix_rate, operations, peak, sized_model
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.methods.base import Method, method, methods
from clearbench.models.token_model import TokenModel
from clearbench.training.feed import unlearning_feed
from clearbench.training.reference import reference_forms
from clearbench.training.roles import Roles
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

#: What is measured, with the hyper-parameters that are not the defaults.
METHODS: dict[str, dict[str, Any]] = {
    "npo": {}, "dpo": {"scaled": False}, "kl_minimization": {},
    "rmu": {"layer": plain_unlearning.LAYER, "steering": plain_unlearning.STEERING},
}  # fmt: skip
MODEL, FORGET_ROWS, BATCH, EPOCHS, LORA_RANK = "language 35 M", 8, 8, 5, 8
STEPS = FORGET_ROWS * EPOCHS // BATCH


@dataclass(frozen=True)
class Task:
    """A method and what it is to unlearn."""

    model: TokenModel
    dataset: Dataset
    chosen: Method
    settings: TrainSettings

    def fresh(self, **changes: Any) -> Task:
        """The same with a copy of the model, and with other settings."""
        settings = self.settings.model_copy(update=changes)
        return replace(self, model=self.model.duplicate(), settings=settings)

    def plan(self) -> list[Mapping[str, list[Any]]]:
        """The rows of every step, as our side draws them."""
        roles, needed = Roles(self.model, self.dataset), self.chosen.needed
        feed = unlearning_feed(self.dataset, ("text",), self.settings.rows, 0, roles, needed)
        return [feed(0, step) for step in range(self.settings.steps)]


def make(name: str) -> Task:
    """A method on a few rows, all tokenised."""
    dataset = load_dataset("builtin")
    forget = tuple(dataset.train_rows("forget", ("text",))[:FORGET_ROWS])
    settings = TrainSettings.of(
        steps=STEPS, batch_size=BATCH, learning_rate=1e-5, warmup=0, decay="none",
        parts=("language",),
    )  # fmt: skip
    task = Task(
        sized_model(MODEL),
        replace(dataset, training={**dataset.training, "forget": forget}),
        method(name, **METHODS[name]),
        settings,
    )
    for drawn in task.plan():
        for each in (each for items in drawn.values() for each in items):
            task.model.encoder.encode(each)
    return task


def plain(task: Task) -> list[float]:
    """The baseline; the loss of every step."""
    plan = plain_unlearning.Plan(task.plan(), task.settings.learning_rate, task.settings.clip)
    return plain_unlearning.train(task.model, task.chosen.name, plan)


def ours(task: Task) -> list[float]:
    """What every run goes through; the loss of every step."""
    history = unlearn(task.model, task.dataset, task.chosen, ("text",), task.settings)
    return [values["loss"] for values in history]


SIDES: dict[str, Callable[[Task], list[float]]] = {"baseline": plain, "ours": ours}


def prepared(name: str, side: str) -> Callable[[], object]:
    """A side, ready to run."""
    task = make(name)
    return lambda: SIDES[side](task)


def first_gradients(run: Callable[[Task], object], task: Task) -> list[Tensor]:
    """What the optimiser is given in the first step, a tensor for each weight that learns."""
    found: list[Tensor] = []

    def keep(optimizer: torch.optim.Optimizer, *_: object) -> None:
        weights = (weight for group in optimizer.param_groups for weight in group["params"])
        found.extend(weight.grad.clone() for weight in weights)

    handle = register_optimizer_step_pre_hook(keep)
    try:
        run(task.fresh(steps=1))
    finally:
        handle.remove()
    return found


def apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Largest difference, as a share of the largest entry."""
    pairs = list(zip(ours, theirs, strict=True))
    largest = max(float(theirs.abs().max()) for _, theirs in pairs)
    return max(float((ours - theirs).abs().max()) for ours, theirs in pairs) / largest


def measured(name: str, rate: float) -> list[dict[str, Any]]:
    """Median CPU-seconds per step and peak memory of both sides, and how far they are apart.

    Args:
        name: Method.
        rate: Operations a second of the core.
    """
    task = make(name)
    gradients = [first_gradients(run, task) for run in (ours, plain)]
    losses: dict[str, list[float]] = {}

    def run(side: str) -> None:
        losses[side] = SIDES[side](task.fresh())

    counted = {side: operations(lambda side=side: run(side)) for side in SIDES}
    seconds = cpu_seconds({side: lambda side=side: run(side) for side in SIDES})
    lines = []
    for side in SIDES:
        added, whole = peak(prepared, name, side)
        lines.append({
            "method": name,
            "side": side,
            "cpu_seconds_per_step": seconds[side] / STEPS,
            "products_alone_per_step": counted[side] / rate / STEPS,
            "added_bytes": added,
            "process_bytes": whole,
            "last_loss": losses[side][-1],
            "first_gradients_apart": apart(*gradients),
        })  # fmt: skip
    return lines


def copies_under_adapters(model: TokenModel, dataset: Dataset) -> dict[str, float]:
    """By method that looks back: bytes of tensors that its run adds, in copies of the weights."""
    weights = sum(each.nbytes for each in model.module.parameters())
    settings = TrainSettings.of(
        steps=1, batch_size=2, learning_rate=1e-5, parts=("language",), lora_rank=LORA_RANK
    )
    found = {}
    for name, cls in methods().items():
        chosen = cls(**cls.trial)
        fits = model.kind in cls.kinds and "text" in cls.modalities
        if not fits or not reference_forms(chosen, LORA_RANK):
            continue
        twin = model.duplicate()
        before, during = tensor_bytes(), list[int]()
        unlearn(
            twin, dataset, chosen, ("text",), settings,
            on_step=lambda *_, during=during: during.append(tensor_bytes()),
        )  # fmt: skip
        found[name] = (max(during) - before) / weights
    return found


def tensor_bytes() -> int:
    """Memory under all tensors alive, shared memory once."""
    gc.collect()
    alive = (each for each in gc.get_objects() if issubclass(type(each), Tensor))
    storages = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in alive
    }
    return sum(storages.values())


def main(names: Sequence[str]) -> None:
    """Prints the tables, and the figures as JSON lines."""
    torch.set_num_threads(1)
    console = Console()
    table = Table(
        "method", "side", "CPU s a step", "ratio", "products alone", "added MB", "ratio",
        "last loss", "apart",
    )  # fmt: skip
    rate = matrix_rate()
    console.print(f"one core: {rate / 1e9:.1f} GFLOP/s in float32")
    for name in names:
        lines = measured(name, rate)
        first = lines[0]
        for line in lines:
            table.add_row(
                name,
                line["side"],
                f"{line['cpu_seconds_per_step']:.3f}",
                f"{first['cpu_seconds_per_step'] / line['cpu_seconds_per_step']:.2f}x",
                f"{line['products_alone_per_step']:.3f}",
                f"{line['added_bytes'] / 1e6:.0f}",
                f"{line['added_bytes'] / first['added_bytes']:.2f}x",
                f"{line['last_loss']:.6g}",
                f"{line['first_gradients_apart']:.1e}",
            )
            console.print_json(json.dumps(line), indent=None)
    console.print(table)
    adapted = Table("under LoRA", "copies of the weights beside the model's own")
    task = make("npo")
    for name, copies in copies_under_adapters(task.model, task.dataset).items():
        adapted.add_row(name, f"{copies:.3f}")
    console.print(adapted)


if __name__ == "__main__":
    main(sys.argv[1:] or list(METHODS))
