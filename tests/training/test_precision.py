"""Stored and held precision, and runs whose numbers leave it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench import api
from clearbench.batches.items import item
from clearbench.errors import ClearbenchError
from clearbench.methods.base import method
from clearbench.models.adapters import choose_parameters
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.autocast import Autocast
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged, check_trained

HALVES = [torch.bfloat16, torch.float16]


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 5, "batch_size": 2, "warmup": 0.0, "decay": "none", "parts": ("language",)}
    return TrainSettings.model_validate(about | changes)


def weights(model: Model) -> dict[str, Tensor]:
    return {n: v.detach().float().clone() for n, v in model.module.named_parameters()}


def move(model: Model, **changes: Any) -> float:
    """Root of the summed squares of how far NPO moves the weights."""
    before = weights(model)
    unlearn(model, tiny_dataset(), method("npo"), ("text",), settings(**changes))
    after = weights(model)
    return float(torch.stack([(after[n] - before[n]).square().sum() for n in before]).sum().sqrt())


@pytest.mark.parametrize("stored", HALVES)
def test_small_updates_count_whatever_type_is_stored(stored: torch.dtype, tmp_path: Path) -> None:
    """AdamW moves every weight by about the rate in a step; bfloat16 alone would round it away."""
    model = tiny_model()
    model.module.to(stored)
    model.save(tmp_path)
    moved = move(load_model(tmp_path), learning_rate=1e-5)
    assert moved == pytest.approx(move(load_model(tmp_path, dtype="float32"), learning_rate=1e-5))
    count = sum(weight.numel() for weight in model.module.parameters())
    assert moved > 0.5 * 5e-5 * count**0.5


def test_weights_held_in_half_precision_keep_what_they_cannot_show() -> None:
    """Hundreds of updates of 1e-5 add up to what float32 gives, to the rounding at the end."""
    held = tiny_model()
    held.module.to(torch.bfloat16)
    whole = tiny_model()
    whole.module.to(torch.bfloat16).float()
    long = {"steps": 60, "learning_rate": 2e-5}
    assert move(held, **long) == pytest.approx(move(whole, **long), rel=0.1)
    assert held.core.dtype == torch.bfloat16


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_resumed_run_of_held_halves_is_bit_identical(dtype: torch.dtype, tmp_path: Path) -> None:
    def kill(done: int, *_: object) -> None:
        if done == 3:
            raise KilledError

    model = tiny_model()
    model.module.to(dtype)
    about: dict[str, Any] = {"settings": settings(learning_rate=1e-4, checkpoint_seconds=1e-9)}
    whole = api.unlearn(model, tiny_dataset(), "npo", "text", **about)
    with pytest.raises(KilledError):
        api.unlearn(model, tiny_dataset(), "npo", "text", **about, out=tmp_path / "o", on_step=kill)
    again = api.unlearn(model, tiny_dataset(), "npo", "text", **about, out=tmp_path / "o")
    assert again.fingerprint == whole.fingerprint


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [
        ("gradient_ascent", {"steps": 60, "learning_rate": 50.0}, "not finite at step"),
        ("npo", {"steps": 1, "learning_rate": 1e38}, r"tensors are not finite after 1 steps: .*lm"),
        ("task_vector", {"steps": 1, "strength": 1e39}, r"not finite after 1 steps"),
    ],
)
def test_a_run_that_diverges_is_one_error_and_leaves_nothing(
    name: str, how: dict[str, Any], told: str, tmp_path: Path
) -> None:
    own = {key: how[key] for key in how.keys() & {"strength"}}
    train = settings(**{k: v for k, v in how.items() if k not in own}, checkpoint_seconds=1e-9)
    about: dict[str, Any] = {"settings": train, "out": tmp_path / "out"}
    with pytest.raises(ClearbenchError, match=told) as caught:
        api.unlearn(tiny_model(), tiny_dataset(), name, "text", **about, **own)
    assert isinstance(caught.value, Diverged) and "learning rate" in caught.value.fix
    assert not any(tmp_path.iterdir())


def test_a_teaching_that_diverges_is_one_error() -> None:
    with pytest.raises(Diverged, match="not finite"):
        api.finetune(tiny_model(), tiny_dataset(), steps=3, batch_size=2, learning_rate=1e30)


def test_logits_that_overflow_after_the_last_step_are_found() -> None:
    model = tiny_model()
    model.module.to(torch.float16)
    with torch.no_grad():
        for name, weight in model.module.named_parameters():
            if "up_proj" in name or "down_proj" in name:
                weight.mul_(3e4)
    rows = (item for item in _items())
    passes = model.forwards
    with pytest.raises(Diverged, match="the logits are not finite after 0 steps"):
        check_trained(model, rows, [])
    assert model.forwards == passes
    check_trained(tiny_model(), _items(), [])


def _items() -> list[Any]:
    from clearbench.batches.items import item

    return [item(row) for row in tiny_dataset().train_rows("forget", ("text",))]


def _adapted(family: str = "language") -> Model:
    model = tiny_model(family)
    choose_parameters(model, ("language",), 4, 0, None)
    for weight in model.trainable().values():
        torch.nn.init.normal_(weight, std=0.05)
    return model


def _loss(model: Model) -> Tensor:
    tracks = ("text",) if model.kind == "language" else ("image",)
    rows = [item(row) for row in tiny_dataset().train_rows("retain", tracks)[:3]]
    return -model.answers(model.batch(rows)).log_probs.mean()


@pytest.mark.parametrize("family", ["language", "llava"])
def test_frozen_matrices_are_cast_once_for_the_same_gradient(family: str) -> None:
    found = []
    for once in (False, True):
        model = _adapted(family)
        before = {name: (w, w.data.clone()) for name, w in model.module.named_parameters()}
        plain = torch.autocast("cpu", torch.bfloat16)
        computing = Autocast(model).computing() if once else plain
        with computing:
            loss = _loss(model)
        loss.backward()
        found.append([weight.grad for weight in model.trainable().values()])
        assert all(torch.equal(w.data, held) for w, held in before.values())
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_only_frozen_matrices_that_no_embedding_shares_are_cast() -> None:
    model = _adapted()
    embedding = model.module.get_input_embeddings().weight
    casts = Autocast(model).casts
    matrices = [
        layer.weight
        for layer in model.module.modules()
        if type(layer) is torch.nn.Linear and not layer.weight.requires_grad
    ]
    assert casts and len(casts) == len([m for m in matrices if m is not embedding])
    assert all(cast.dtype == torch.bfloat16 for cast in casts)
    with Autocast(model).computing():
        assert embedding.dtype == torch.float32
        assert all(m.dtype == torch.bfloat16 for m in matrices if m is not embedding)
    assert all(m.dtype == torch.float32 for m in matrices)
