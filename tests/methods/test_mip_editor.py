"""MIP-Editor's paths against hooks on activations, and its loss and masks by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
)

from clearbench.methods.base import method
from clearbench.methods.mip_editor import MIPEditor
from clearbench.methods.neurons import feeds_perceptron, incoming_rows, neuron_count, outgoing
from clearbench.methods.paths import attribution, influential_path
from clearbench.methods.statistics import MASK
from clearbench.models.base import Model
from clearbench.models.token_model import LanguageModel
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import check_term, snapshot
from clearbench.testing.given import GivenModel, given_step
from clearbench.testing.world import few_steps, learning, with_clip_tower
from clearbench.training.rows import TrainingRows
from clearbench.training.unlearn import unlearn

DOWN = [f"model.layers.{layer}.mlp.down_proj.weight" for layer in (0, 1)]


def by_hooks(
    model: Model, row: Any, name: str, path: dict[str, list[int]], steps: int, *, squared: bool
) -> Tensor:
    """Scales the activations themselves and sums activation times gradient over places."""
    modules = dict(model.module.named_modules())
    total = torch.zeros(modules[name.removesuffix(".weight")].in_features)  # type: ignore[arg-type]
    for step in range(steps):
        seen: list[tuple[Tensor, Tensor]] = []

        def grow(
            _: nn.Module, inputs: tuple[Tensor, ...], level: float = step / steps, seen: Any = seen
        ) -> Any:
            plain = inputs[0].detach()
            given = (level * plain).requires_grad_()
            seen.append((plain, given))
            return (given,)

        def below(
            _: nn.Module, inputs: tuple[Tensor, ...], places: list[int], level: float = step / steps
        ) -> Any:
            values = inputs[0].clone()
            values[..., places] = level * values[..., places]
            return (values,)

        handles = [modules[name.removesuffix(".weight")].register_forward_pre_hook(grow)]
        for other, places in path.items():
            layer = modules[other.removesuffix(".weight")]
            hook = lambda m, i, p=places: below(m, i, p)  # noqa: E731
            handles.append(layer.register_forward_pre_hook(hook))
        answers = model.answers(row)
        log_likelihood = -functional.cross_entropy(answers.logits, answers.targets)
        for handle in handles:
            handle.remove()
        slope = torch.zeros_like(total)
        for plain, given in seen:
            (part,) = torch.autograd.grad(log_likelihood, given, retain_graph=True)
            slope += (plain * part).flatten(0, -2).sum(0)
        total += slope.square() if squared else slope
    return total / steps


@pytest.mark.parametrize("squared", [False, True])
def test_an_attribution_is_activation_times_gradient_over_levels(squared: bool) -> None:
    model, rows = learning(tiny_model(), "text", size=3)
    row = model.batch(rows.items("forget")[:1])
    first = attribution(model, row, DOWN[0], {}, 4, squared=squared)
    expected = by_hooks(model, row, DOWN[0], {}, 4, squared=squared)
    assert expected.any()
    torch.testing.assert_close(first, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)
    chosen = {DOWN[0]: [3, 5, 90]}
    second = attribution(
        model, row, DOWN[1], {DOWN[0]: torch.tensor(chosen[DOWN[0]])}, 3, squared=squared
    )
    expected = by_hooks(model, row, DOWN[1], chosen, 3, squared=squared)
    without = by_hooks(model, row, DOWN[1], {}, 3, squared=squared)
    size = float(expected.abs().max())
    torch.testing.assert_close(second, expected, atol=1e-5 * size, rtol=1e-4)
    assert (expected - without).abs().max() > 1e-4 * size, "the path below changes it"


def test_the_integral_of_many_levels_is_what_the_layer_adds() -> None:
    """Completeness: the attributions sum to log p with the layer less log p without it."""
    model, rows = learning(tiny_model(), "text", size=3)
    row = model.batch(rows.items("forget")[:1])
    found = float(attribution(model, row, DOWN[1], {}, 256, squared=False).sum())
    weight = dict(model.module.named_parameters())[DOWN[1]]

    def likelihood() -> float:
        answers = model.answers(row)
        return -float(functional.cross_entropy(answers.logits, answers.targets).detach())

    whole = likelihood()
    with torch.no_grad():
        weight.zero_()
    assert found == pytest.approx(whole - likelihood(), rel=2e-2, abs=1e-4)


def test_a_path_takes_the_largest_of_each_layer() -> None:
    model, rows = learning(tiny_model(), "text", size=3)
    row = model.batch(rows.items("forget")[:1])
    path = influential_path(model, row, DOWN, 4, 3, squared=False)
    lower = by_hooks(model, row, DOWN[0], {}, 3, squared=False)
    assert set(path[DOWN[0]].tolist()) == set(lower.argsort(descending=True)[:4].tolist())
    chosen = {DOWN[0]: path[DOWN[0]].tolist()}
    upper = by_hooks(model, row, DOWN[1], chosen, 3, squared=False)
    assert set(path[DOWN[1]].tolist()) == set(upper.argsort(descending=True)[:4].tolist())


def test_the_loss_is_two_mean_squares() -> None:
    model, original = GivenModel.drawn(0), GivenModel.drawn(1)
    target = torch.arange(5, dtype=torch.double)
    step = given_step(model, original, state={"target": target})
    terms = MIPEditor(forget_weight=0.3, layer=2).loss(step)
    away = 2 * model.array("forget") - target.numpy()
    drift = 2 * (model.array("retain") - original.array("retain"))
    check_term(terms["forget"], 0.3 * np.square(away).mean(-1))
    check_term(terms["retain"], 0.7 * np.square(drift).mean(-1))


def test_only_rows_into_chosen_neurons_move() -> None:
    model, data = tiny_model(), tiny_dataset()
    rows = TrainingRows(model, data, ("text",), 4, 0)
    before = snapshot(model)
    chosen: Any = method("mip_editor", neurons=2, layer=2, increments=2)
    settings = few_steps("language", learning_rate=1e-2, weight_decay=0.1)
    model.train_only(("language",))
    learns = [n for n in model.trainable() if chosen._learns(model, n)]
    assert {n.split(".mlp.")[1] for n in learns} == {"gate_proj.weight", "up_proj.weight"}
    expected: dict[str, set[int]] = {name: set() for name in DOWN}
    for item in rows.items("forget"):
        path = influential_path(model, model.batch([item]), DOWN, 2, 2, squared=False)
        for name, places in path.items():
            expected[name] |= {*places.tolist()}
    unlearn(model, data, chosen, ("text",), settings)
    after = snapshot(model)
    for name in before:
        moved = {
            *(before[name] != after[name])
            .reshape(len(before[name]), -1)
            .any(1)
            .nonzero()[:, 0]
            .tolist()
        }
        layer = name.rpartition(".mlp.")[0]
        neurons = expected.get(f"{layer}.mlp.down_proj.weight", set())
        assert moved == (neurons if name in learns else set()), name
    assert all(expected.values())


def test_rows_bound_the_work() -> None:
    model, rows = learning(tiny_model(), "text", size=3)
    for count in (1, 2):
        before = model.backwards
        MIPEditor(rows=count, increments=3, layer=2).prepare(model, rows, 0)
        assert model.backwards - before == count * 2 * 3


def test_layers_above_the_misdirected_one_are_left_out() -> None:
    model, rows = learning(tiny_model(), "text", size=3)
    state = MIPEditor(layer=1).prepare(model, rows, 0)
    assert {name.split("layers.")[1][0] for name in state if name.startswith(MASK)} == {"0"}
    assert float(state["target"].norm()) == pytest.approx(10.0)
    assert (state["target"] >= 0).all()


def test_vision_neurons_are_found_by_squares_on_rows_with_an_image() -> None:
    model = with_clip_tower(layers=3)
    model.train_only(("vision", "language"))
    rows = TrainingRows(model, tiny_dataset(), ("text", "image"), 4, 0)
    state = MIPEditor(neurons=3, increments=2, layer=2).prepare(model, rows, 0)
    tower = [n for n, _ in model.module.named_parameters() if n.endswith("mlp.fc2.weight")]
    assert len(tower) == 3
    found: dict[str, set[int]] = {name: set() for name in tower}
    for item in rows.items("forget"):
        if item.media is None:
            continue
        path: dict[str, list[int]] = {}
        for name in tower[:2]:  # the last layer is not read
            scores = by_hooks(model, model.batch([item]), name, path, 2, squared=True)
            path[name] = scores.argsort(descending=True)[:3].tolist()
            found[name] |= {*path[name]}
    for name in tower[:2]:
        mask = state[MASK + name.replace("fc2", "fc1")]
        assert {*mask.any(1).nonzero()[:, 0].tolist()} == found[name]
        assert torch.equal(mask.all(1), mask.any(1))


def test_without_text_rows_language_neurons_are_those_of_images() -> None:
    model, rows = learning(tiny_model("vision-language"), "image", size=3)
    state = MIPEditor(neurons=2, increments=2).prepare(model, rows, 0)
    masks = [value for name, value in state.items() if name.startswith(MASK)]
    assert masks and all(mask.any() for mask in masks)


def test_gpt2_has_its_neurons_in_columns() -> None:
    config = GPT2Config(n_embd=8, n_head=2, n_layer=1, vocab_size=287, n_positions=64)
    model: Any = LanguageModel(GPT2LMHeadModel(config), tiny_model().tokenizer)  # type: ignore[attr-defined]
    model.train_only(("language",))
    (fed,) = [name for name in model.trainable() if feeds_perceptron(model, name)]
    assert fed == "transformer.h.0.mlp.c_fc.weight"
    down = outgoing(model, "transformer.h.0.mlp")
    assert down == "transformer.h.0.mlp.c_proj.weight" and neuron_count(model, down) == 32
    mask = incoming_rows(model, fed, torch.arange(32) == 5)
    assert mask.shape == (8, 32) and mask[:, 5].all() and int(mask.sum()) == 8
