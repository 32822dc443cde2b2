"""Training in two real processes, as replicas and sharded (FSDP2): what one process gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import TrainingArguments

from clearbench.batches.kind import Kind
from clearbench.errors import ClearbenchError
from clearbench.methods.base import method
from clearbench.models.sharding import shard
from clearbench.processes import processes, whole
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.world import PARTS
from clearbench.training.settings import TrainSettings
from clearbench.training.trainer import UnlearningTrainer
from clearbench.training.unlearn import unlearn

#: Seconds; a busy machine is slow.
WAIT = 600
BOTH: tuple[str, ...] = ("text", "image")
#: Kind of model, method, tracks and settings. Five rows are uneven shares for two processes, and
#: more so for two micro-batches of each; text alone leaves the projector without a gradient, and
#: weight decay must not move it.
CASES: dict[str, tuple[Kind, str, tuple[str, ...], dict[str, Any]]] = {
    "even": ("language", "gradient_difference", ("text",), {}),
    "uneven": ("language", "gradient_difference", ("text",), {"batch_size": 5, "accumulate": 2}),
    "mixed by a rule": ("language", "gradient_difference", ("text",), {"rule": "pcgrad"}),
    "looking back": ("language", "npo", ("text",), {"batch_size": 3}),
    "seeing": ("vision-language", "gradient_difference", BOTH, {"batch_size": 3}),
    "blind": ("vision-language", "gradient_ascent", ("text",), {"weight_decay": 0.1}),
}
#: How two processes hold the weights; only a language model's can be sharded.
FORMS = [
    (case, form)
    for case, (kind, *_) in CASES.items()
    for form in ("replicas", "sharded")
    if kind == "language" or form == "replicas"
]
#: What two processes, or sharded weights, must refuse: method, settings, whether sharded.
REFUSED: dict[str, tuple[str, dict[str, Any], bool]] = {
    "1 rows of a batch cannot be shared among 2 processes of 1 micro-batches": (
        "npo", {"batch_size": 1}, False,
    ),
    "3 rows of a batch cannot be shared among 2 processes of 2 micro-batches": (
        "npo", {"batch_size": 3, "accumulate": 2}, False,
    ),
    "salun needs whole weights": ("salun", {}, True),
    "rmu needs whole weights": ("rmu", {}, True),
    "ssd needs whole weights": ("ssd", {}, True),
    "'lora_rank' needs whole weights": ("gradient_difference", {"lora_rank": 2}, True),
    "'saliency' needs whole weights": ("gradient_difference", {"saliency": 0.5}, True),
    "'penalty' needs whole weights": (
        "gradient_difference", {"penalty": {"strength": 0.1, "on": "theta"}}, True,
    ),
}  # fmt: skip
#: Kind of model, method and micro-batches of a process in `transformers.Trainer`.
IN_TRAINER: list[tuple[Kind, str, int]] = [
    ("language", "npo", 2), ("vision-language", "gradient_difference", 1),
]  # fmt: skip
History = list[dict[str, float]]


def settings(kind: Kind, changes: dict[str, Any]) -> TrainSettings:
    about = {"steps": 5, "batch_size": 4, "learning_rate": 3e-3, "parts": PARTS[kind]}
    return TrainSettings.model_validate(about | changes)


def trained(case: str, *, sharded: bool = False) -> tuple[History, dict[str, Tensor]]:
    """Each step's values; the first step's gradients, as the optimiser sees them, and the weights
    after the last."""
    kind, name, tracks, changes = CASES[case]
    model = tiny_model(kind)
    if sharded:
        shard(model)
    parameters = dict(model.module.named_parameters())
    gradients: dict[str, Tensor] = {}

    def keep(*_: object) -> None:
        if not gradients:
            found = {n: p.grad for n, p in parameters.items() if p.grad is not None}
            gradients.update({f"gradient {n}": whole(g).clone() for n, g in found.items()})

    handle = register_optimizer_step_pre_hook(keep)
    history = unlearn(model, tiny_dataset(), method(name), tracks, settings(kind, changes))
    handle.remove()
    return history, gradients | {n: whole(p.detach()) for n, p in parameters.items()}


class KilledError(Exception):
    """Stands for a kill."""


def saving(
    name: str, folder: Path | None, kill: int = 0
) -> tuple[History, list[int], dict[str, Tensor]]:
    """A run that saves after each step: its history, the steps that it made, its weights."""
    model, made = tiny_model(), list[int]()

    def on_step(done: int, *_: object) -> dict[str, float]:
        if done == kill:
            raise KilledError
        made.append(done)
        return {"twice": 2.0 * done}

    history = unlearn(
        model, tiny_dataset(), method(name), ("text",),
        settings("language", {"checkpoint_seconds": 1e-9}), checkpoints=folder, on_step=on_step,
    )  # fmt: skip
    return history, made, {n: p.detach() for n, p in model.module.named_parameters()}


def by_trainer(kind: Kind, name: str, accumulate: int, folder: Path) -> History:
    """What `transformers.Trainer` logs of three steps of four rows, with all terms."""
    model, shares = tiny_model(kind), accumulate * processes().num_processes
    model.train_only(PARTS[kind])
    args = TrainingArguments(
        str(folder), max_steps=3, per_device_train_batch_size=4 // shares, learning_rate=3e-3,
        gradient_accumulation_steps=accumulate, logging_steps=1, save_strategy="no",
        report_to="none", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    made = UnlearningTrainer(
        model.module, args, dataset=tiny_dataset(), method=name, processing_class=model.processor
    )
    made.train()
    return [entry for entry in made.state.log_history if "loss" in entry]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def checkpointed(folder: Path) -> dict[str, Any]:
    """What two processes find that are killed after a checkpoint, and that find finished stages."""
    with suppress(KilledError):
        saving("npo", folder / "killed", kill=4)
    left = sorted(path.name for path in (folder / "killed").iterdir())
    processes().wait_for_everyone()  # before the next run writes there
    history, made, weights = saving("npo", folder / "killed")
    whole, _, expected = saving("npo", None)
    _, _, moved = saving("task_vector", folder / "stages")
    _, again, there = saving("task_vector", folder / "stages")
    return {
        "left": left,
        "made": made,
        "same history": history == whole,
        "same weights": same(weights, expected),
        "kept": [values["twice"] for values in history],
        "made of finished stages": again,
        "same after finished stages": same(moved, there),
    }


def refusal(name: str, changes: dict[str, Any], sharded: bool, **about: Path) -> str:
    model = tiny_model()
    if sharded:
        shard(model)
    try:
        unlearn(
            model, tiny_dataset(), method(name), ("text",), settings("language", changes), **about
        )
    except ClearbenchError as error:
        return error.what
    return "not refused"


def work(out: Path) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    rank = processes().process_index
    for case, form in FORMS:
        history, tensors = trained(case, sharded=form == "sharded")
        (out / f"{case}, {form}-{rank}.json").write_text(json.dumps(history), "utf-8")
        save_file(tensors, out / f"{case}, {form}-{rank}.safetensors")
    for kind, name, accumulate in IN_TRAINER:
        logged = by_trainer(kind, name, accumulate, out / "trainer")
        (out / f"trainer {kind}-{rank}.json").write_text(json.dumps(logged), "utf-8")
    said = {expected: refusal(*about) for expected, about in REFUSED.items()}
    try:
        shard(tiny_model("vision-language"))
    except ClearbenchError as error:
        said["eyes"] = error.what
    said["checkpoints"] = refusal("npo", {}, sharded=True, checkpoints=out / "checkpoints")
    found = checkpointed(out / "replicas")
    (out / f"checkpointed-{rank}.json").write_text(json.dumps(found), "utf-8")
    (out / f"said-{rank}.json").write_text(json.dumps(said), "utf-8")


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, two_processes: tuple[dict[str, str], ...]
) -> Path:
    """What two processes found."""
    out = tmp_path_factory.mktemp("two")
    children = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, __file__, str(out)],
            env=os.environ | about | {"OMP_NUM_THREADS": "1"},
        )
        for about in two_processes
    ]
    assert [child.wait(WAIT) for child in children] == [0, 0]
    return out


alone = cache(trained)


@pytest.mark.parametrize("rank", range(2))
@pytest.mark.parametrize(("case", "form"), FORMS)
def test_two_processes_train_as_one(case: str, form: str, rank: int, shared: Path) -> None:
    history, tensors = alone(case)
    place = shared / f"{case}, {form}-{rank}"
    found = json.loads(place.with_name(f"{place.name}.json").read_text("utf-8"))
    for ours, theirs in zip(found, history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
    both = load_file(place.with_name(f"{place.name}.safetensors"))
    assert both.keys() == tensors.keys()
    first = [name for name in tensors if name.startswith("gradient ")]
    assert first
    for name in first:
        apart = float((both[name] - tensors[name]).abs().max())
        assert apart <= 1e-5 * float(tensors[name].abs().max()), name


@pytest.mark.parametrize("rank", range(2))
@pytest.mark.parametrize(("case", "form"), FORMS)
def test_two_processes_end_where_one_does(case: str, form: str, rank: int, shared: Path) -> None:
    """Measured by how far the weights went: Adam magnifies the rounding of small gradients."""
    _, one = alone(case)
    both = load_file(shared / f"{case}, {form}-{rank}.safetensors")
    start = dict(tiny_model(CASES[case][0]).module.named_parameters())
    moved = torch.stack([(one[name] - start[name].detach()).norm() for name in start]).norm()
    apart = torch.stack([(one[name] - both[name]).norm() for name in start]).norm()
    assert moved > 0.1
    assert apart < 1e-3 * moved


@pytest.mark.parametrize(("kind", "name", "accumulate"), IN_TRAINER)
def test_a_trainer_of_two_processes_logs_what_one_does(
    kind: Kind, name: str, accumulate: int, shared: Path, tmp_path: Path
) -> None:
    """The first process logs for both."""
    expected = by_trainer(kind, name, accumulate, tmp_path)
    found = json.loads((shared / f"trainer {kind}-0.json").read_text("utf-8"))
    assert {"loss", "loss_forget", "loss_retain", "grad_norm"} < {*found[0]}
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("rank", range(2))
def test_what_cannot_be_shared_is_refused_by_name(rank: int, shared: Path) -> None:
    said = json.loads((shared / f"said-{rank}.json").read_text("utf-8"))
    for expected in REFUSED:
        assert said[expected].startswith(expected)
    assert said["eyes"] == "a vision-language model cannot be sharded"
    assert said["checkpoints"].startswith("checkpoints need whole weights")


@pytest.mark.parametrize("rank", range(2))
def test_replicas_share_their_checkpoints(rank: int, shared: Path) -> None:
    """Stopped in the fourth step of five, both go on after the third, from one folder."""
    assert json.loads((shared / f"checkpointed-{rank}.json").read_text("utf-8")) == {
        "left": ["checkpoint-0000002"],
        "made": [4, 5],
        "same history": True,
        "same weights": True,
        "kept": [2.0, 4.0, 6.0, 8.0, 10.0],
        "made of finished stages": [],
        "same after finished stages": True,
    }


if __name__ == "__main__":
    work(Path(sys.argv[1]))
