"""Every setting of training does what it says, in numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from clearbench.batches.items import item
from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.stages import Train
from clearbench.methods.statistics import MASK
from clearbench.methods.step import Step
from clearbench.models.adapters import add_lora, choose_parameters
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.average import RetainAverage
from clearbench.training.loop import StageContext, train
from clearbench.training.masks import Masks, intersect
from clearbench.training.method_checks import check_seed
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged

Seen = list[tuple[float, float]]


def settings(**changes: Any) -> TrainSettings:
    about = {"steps": 3, "batch_size": 4, "learning_rate": 1e-2, "parts": ("language",)}
    return TrainSettings.model_validate(about | {"warmup": 0.0, "decay": "none"} | changes)


def rows() -> list[Any]:
    return [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:4]


def learning(model: Model) -> Model:
    model.train_only(("language",))
    return model


def plain(step: Step) -> dict[str, Term]:
    return {"retain": cross_entropy(step.model.answers(step.retain))}


def run(
    model: Model, loss: Callable[[Step], dict[str, Term]] = plain, seed: int = 0, **about: Any
) -> list[dict[str, float]]:
    history, _ = train(model, Train(loss), lambda *_: {"retain": rows()}, settings(**about), seed)
    return history


def weights(model: Model) -> list[Tensor]:
    return [weight.detach().clone() for weight in model.trainable().values()]


@contextmanager
def updates() -> Iterator[Seen]:
    """The norm of the gradient and the learning rate of every update."""
    seen: Seen = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        (group,) = optimizer.param_groups
        grads = [p.grad for p in group["params"] if p.grad is not None]
        seen.append((math.sqrt(sum(float(g.square().sum()) for g in grads)), group["lr"]))

    handle = register_optimizer_step_pre_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


@pytest.mark.parametrize("clip", [1e-3, 0.2, 1e9])
def test_the_gradient_is_cut_to_the_clip_and_its_norm_told_uncut(clip: float) -> None:
    with updates() as seen:
        history = run(learning(tiny_model()), clip=clip)
    norms = [values["gradient_norm"] for values in history]
    assert min(norms) > 0.2, "the clip acts"
    assert [norm for norm, _ in seen] == pytest.approx([min(clip, n) for n in norms], rel=1e-4)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay_shrinks_every_weight_by_rate_times_decay(decay: float) -> None:
    """A loss without gradient leaves the decay alone: w <- w (1 - rate decay)."""
    model = learning(tiny_model())
    before = weights(model)

    def nothing(step: Step) -> dict[str, Term]:
        term = plain(step)["retain"]
        return {"retain": Term(0.0 * term.values, term.weights)}

    run(model, nothing, steps=2, weight_decay=decay)
    for was, now in zip(before, weights(model), strict=True):
        torch.testing.assert_close(now, was * (1 - 1e-2 * decay) ** 2, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_precision_is_that_of_the_computation_and_never_of_the_weights(precision: str) -> None:
    seen: list[tuple[bool, torch.dtype]] = []

    def loss(step: Step) -> dict[str, Term]:
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        seen.append((torch.is_autocast_enabled("cpu"), product.dtype))
        return plain(step)

    model = learning(tiny_model())
    run(model, loss, steps=1, precision=precision)
    assert seen == [(precision == "bfloat16", getattr(torch, precision))]
    assert {weight.dtype for weight in weights(model)} == {torch.float32}


def test_what_is_random_in_a_step_is_a_function_of_seed_and_step() -> None:
    def drawn(seed: int) -> list[float]:
        found: list[float] = []

        def loss(step: Step) -> dict[str, Term]:
            found.append(float(torch.rand(())))
            return plain(step)

        torch.manual_seed(int(torch.randint(0, 1000, ())))
        run(learning(tiny_model()), loss, seed=seed)
        return found

    first = drawn(0)
    assert len({*first}) == 3 and drawn(0) == first
    assert not {*first} & {*drawn(1)}


@pytest.mark.parametrize(
    ("about", "rates"),
    [
        ({"warmup": 0.5, "decay": "linear", "floor": 0.0}, [0.5, 1.0, 1.0, 0.5]),
        ({"warmup": 0.0, "decay": "linear", "floor": 0.2}, [1.0, 0.8, 0.6, 0.4]),
        ({"warmup": 0.0, "decay": "cosine", "floor": 0.0},
         [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        ({"warmup": 0.25, "decay": "none", "floor": 0.0}, [1.0, 1.0, 1.0, 1.0]),
        ({"warmup": 1.0, "decay": "linear", "floor": 0.1}, [0.25, 0.5, 0.75, 1.0]),
    ],
)  # fmt: skip
def test_every_update_has_its_rate(about: dict[str, Any], rates: list[float]) -> None:
    with updates() as seen:
        run(learning(tiny_model()), steps=4, **about)
    assert [rate for _, rate in seen] == pytest.approx([1e-2 * share for share in rates])


@pytest.mark.parametrize("alpha", [None, 1, 6])
def test_an_adapter_adds_alpha_over_rank_of_its_product(alpha: int | None) -> None:
    """By default alpha is twice the rank."""
    model, rank = tiny_model(), 3
    before = {name: weight.detach().clone() for name, weight in model.module.named_parameters()}
    add_lora(model, ("language",), rank, alpha)
    changes: dict[str, Tensor] = {}
    for name, layer in model.module.named_modules():
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
            down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            torch.nn.init.normal_(up)
            changes[name.removeprefix("base_model.model.") + ".weight"] = (up @ down).detach()
    merged = dict(model.module.merge_and_unload().named_parameters())
    scale = (2 * rank if alpha is None else alpha) / rank
    assert changes
    for name, change in changes.items():
        torch.testing.assert_close(merged[name], before[name] + scale * change)


@pytest.mark.parametrize(("alpha", "scale"), [(None, 2.0), (8, 4.0)])
def test_adapters_of_a_run_are_scaled_by_alpha_over_rank(alpha: int | None, scale: float) -> None:
    given = settings(steps=1, batch_size=2, lora_rank=2, lora_alpha=alpha)
    model = tiny_model()
    unlearn(model, tiny_dataset(), method("gradient_ascent"), ("text",), given)
    layers = [layer for layer in model.module.modules() if hasattr(layer, "lora_A")]
    assert layers and {layer.scaling["default"] for layer in layers} == {scale}


def test_alpha_without_adapters_is_refused() -> None:
    with pytest.raises(RecipeError, match="lora_alpha needs lora_rank"):
        TrainSettings.of(steps=1, lora_alpha=8)


def test_adapters_are_drawn_from_the_seed_alone() -> None:
    def drawn(seed: int, before: int) -> list[Tensor]:
        torch.manual_seed(before)
        model = tiny_model()
        torch.manual_seed(before)
        choose_parameters(model, ("language",), 2, seed)
        return [w.detach() for n, w in model.module.named_parameters() if "lora_A" in n]

    first, again, other = drawn(1, 5), drawn(1, 6), drawn(2, 5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_masked_entries_stay_whatever_moves_them() -> None:
    """Also by weight decay and momentum, which move a weight whose gradient is zero."""
    model = learning(tiny_model())
    name, weight = next(iter(model.trainable().items()))
    mask = torch.zeros_like(weight, dtype=torch.bool)
    mask[0] = True
    before = weight.detach().clone()
    context = StageContext(prepare=lambda: {MASK + name: mask})
    feed = {"retain": rows()}
    with updates() as seen:
        train(model, Train(plain), lambda *_: feed, settings(weight_decay=0.5), 0, context)
    assert torch.equal(weight[1:], before[1:]) and not torch.equal(weight[0], before[0])
    masks = Masks(model, {MASK + name: mask})
    weight.grad = torch.ones_like(weight)
    masks.on_gradients()
    assert float(weight.grad.sum()) == mask.sum() and len(seen) == 3


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_gradient_that_is_no_number_ends_the_run(accumulate: int) -> None:
    """Also where the loss itself is finite: the root of 0 is 0 and has no slope."""
    model = learning(tiny_model())
    before = weights(model)

    def loss(step: Step) -> dict[str, Term]:
        term = plain(step)["retain"]
        return {"retain": Term((0 * term.values).sqrt(), term.weights)}

    with pytest.raises(Diverged, match="gradient_norm = nan"):
        run(model, loss, accumulate=accumulate)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(model), strict=True))


def test_two_masks_leave_what_both_allow() -> None:
    first = {"a": torch.tensor([True, True, False]), "b": torch.tensor([True])}
    second = {"a": torch.tensor([True, False, False]), "c": torch.tensor([False])}
    found = {name: mask.tolist() for name, mask in intersect(first, second).items()}
    assert found == {"a": [True, False, False], "b": [True], "c": [False]}


def test_the_average_moves_by_its_share_of_the_newest_gradient() -> None:
    """m <- share g + (1 - share) m from 0: 0.75, then 0.75 * 2 + 0.25 * 0.75, and over a kill."""
    average = RetainAverage(0.75, ["w"])

    def seen(value: float) -> float:
        found = average({"forget": [torch.zeros(1)], "retain": [torch.tensor([value])]})
        assert [*found] == ["forget", "retain", "average"]
        return float(found["average"][0])

    assert seen(1.0) == pytest.approx(0.75)
    assert seen(2.0) == pytest.approx(1.5 + 0.25 * 0.75)
    other = RetainAverage(0.75, ["w"])
    other.restore(average.state)
    average = other
    assert seen(0.0) == pytest.approx(0.25 * (1.5 + 0.25 * 0.75))


@pytest.mark.parametrize("field", ["steps", "lora_rank", "learning_rate"])
def test_true_is_no_number(field: str) -> None:
    with pytest.raises(RecipeError, match=f"'{field}': True is no number"):
        TrainSettings.of(**{"steps": 3, field: True})
    with pytest.raises(RecipeError, match="'beta': True is no number"):
        method("npo", beta=True)


@pytest.mark.parametrize("seed", [-1, 2**31, True, 1.0])
def test_seeds_that_training_cannot_have_are_refused(seed: Any) -> None:
    check_seed(np.int64(5))
    with pytest.raises(RecipeError, match="is no seed"):
        check_seed(seed)
