"""Pruned neurons, steered states, contexts and garbled answers against what they should leave."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from clearbench.batches.items import Item, item
from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.neurons import neuron_means, perceptrons, scale_neurons
from clearbench.methods.stages import Train
from clearbench.models.adapters import merge_adapters
from clearbench.models.base import Model
from clearbench.models.token_model import LanguageModel, TokenModel
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import snapshot
from clearbench.testing.world import learning
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn


def rows_of(rows: TrainingRows, role: str) -> list[Item]:
    return [each for batches in rows.batches(role) for batch in batches for each in batch.items]


def activations(model: TokenModel, rows: TrainingRows, role: str) -> dict[str, Tensor]:
    """(tokens, neurons) by weight: gate(x) up(x) of each row alone, where answers are read."""
    found: dict[str, list[Tensor]] = {}
    for each in rows_of(rows, role):
        (batch,) = model.batch([each])
        for number in range(model.depth):
            mlp = model.core.model.layers[number].mlp
            entered: list[Tensor] = []
            handle = mlp.register_forward_pre_hook(lambda _, x, kept=entered: kept.append(x[0]))
            with torch.no_grad():
                model.module(**batch.inputs)
                state = entered[0]
                neurons = nn.functional.silu(mlp.gate_proj(state)) * mlp.up_proj(state)
            handle.remove()
            name = f"model.layers.{number}.mlp.down_proj.weight"
            found.setdefault(name, []).append(neurons.flatten(0, 1)[batch.places])
    return {name: torch.cat(parts) for name, parts in found.items()}


MEASURES = {
    "abs": lambda a: a.abs().mean(0),
    "frequency": lambda a: (a > 0).float().mean(0),
    "rms": lambda a: a.square().mean(0).sqrt(),
    "std": lambda a: a.std(0, correction=0),
}


@pytest.mark.parametrize("importance", list(MEASURES))
def test_pruning_removes_the_largest_ratios(importance: str) -> None:
    model, rows = learning(tiny_model(), size=3)
    before = snapshot(model)
    forget, retain = (activations(model, rows, role) for role in ("forget", "retain"))
    measure = MEASURES[importance]
    ratios = {name: measure(forget[name]) / (measure(retain[name]) + 1e-5) for name in forget}
    ranked = torch.cat(list(ratios.values())).sort(descending=True).values
    count = round(0.1 * len(ranked))
    border = ranked[count - 1] * (1 - 1e-6)  # ties are all chosen
    method("neuron_pruning", share=0.1, importance=importance).edit(model, rows)
    removed = 0
    for name, weight in model.trainable().items():
        gone = ratios[name] > border if name in ratios else torch.zeros(0, dtype=torch.bool)
        expected = before[name].clone()
        if name in ratios:
            expected[:, gone] = 0
        assert torch.equal(weight.detach(), expected), name
        removed += int(gone.sum())
    assert count <= removed < 2 * count


def spoken(model: Model) -> list[str]:
    """The last matrices of the language part's perceptrons."""
    return list(perceptrons(model, lambda name: model.part_of(name) == "language"))


def test_a_second_round_removes_other_neurons() -> None:
    counts = []
    for rounds in (1, 2, 3):
        model, rows = learning(tiny_model(), size=3)
        method("neuron_pruning", share=0.1, rounds=rounds).edit(model, rows)
        silent = [(model.trainable()[name] == 0).all(0) for name in spoken(model)]
        counts.append(int(torch.cat(silent).sum()))
    total = torch.cat(silent).numel()
    assert counts == [round(0.1 * total) * rounds for rounds in (1, 2, 3)]


def gpt2() -> LanguageModel:
    """A family whose matrices keep their inputs in rows."""
    tokenizer = tiny_model().tokenizer  # type: ignore[attr-defined]
    about = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": len(tokenizer)}
    config = GPT2Config(**about, eos_token_id=tokenizer.eos_token_id, bos_token_id=None)
    torch.manual_seed(0)
    model = LanguageModel(GPT2LMHeadModel(config), tokenizer)
    model.train(False)
    return model


@pytest.mark.parametrize("family", [tiny_model, gpt2])
def test_a_removed_neuron_says_nothing(family: Any) -> None:
    """Its outgoing weights at 0 are its activation at 0."""
    model = family()
    names = spoken(model)
    assert len(names) == 2
    gone = torch.arange(96 if family is tiny_model else 128) % 5 == 0
    row = tiny_dataset().train_rows("forget", ("text",))[0]
    batches = model.batch([item(row)])
    handles = [
        model.module.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(
            lambda _, inputs: (inputs[0].masked_fill(gone, 0.0),)
        )
        for name in names
    ]
    with torch.no_grad():
        expected = model.answers(batches).logits
        for handle in handles:
            handle.remove()
        whole = model.answers(batches).logits
        scale_neurons(model, dict.fromkeys(names, (~gone).float()))
        torch.testing.assert_close(model.answers(batches).logits, expected, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(whole, expected, atol=1e-3)


def test_adapter_negation_merges_the_adapter_with_the_other_sign() -> None:
    """W_0 - a (alpha / r) B A, B A what fine-tuning on forget found (arXiv 2306.14870)."""
    about = {"steps": 3, "batch_size": 4, "learning_rate": 1e-2, "parts": ("language",)}
    settings = TrainSettings.of(**about, lora_rank=2)
    weights = {}
    for strength in (0.0, 0.5):
        model = tiny_model()
        chosen = method("task_vector", strength=strength)
        unlearn(model, tiny_dataset(), chosen, ("text",), settings)
        added = {
            name.removesuffix(".lora_B.default.weight"): weight.detach()
            for name, weight in model.trainable().items()
            if "lora_B" in name
        }
        weights[strength] = (added, *_merged(model))
    added, _, negated = weights[0.5]
    _, start, whole = weights[0.0]
    assert all(torch.equal(start[name], whole[name]) for name in start), "strength 0 is no change"
    changed = [name for name in start if not torch.equal(start[name], negated[name])]
    assert len(changed) == len(added) > 8
    learned = _learned(settings)
    for name in changed:
        expected = start[name] - 0.5 * (learned[name] - start[name])
        torch.testing.assert_close(negated[name], expected, atol=1e-6, rtol=1e-4)


def _merged(model: Model) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The base's weights, and those with the adapter in them."""
    base = {n: w.detach() for n, w in tiny_model().module.state_dict().items()}
    merge_adapters(model)
    return base, {n: w.detach() for n, w in model.module.state_dict().items()}


def _learned(settings: TrainSettings) -> dict[str, Tensor]:
    """The weights after the fine-tuning alone."""

    class FinetuneOnForget(type(method("task_vector"))):  # type: ignore[misc]
        def stages(self) -> Any:
            return (Train(self.loss),)

    model = tiny_model()
    unlearn(model, tiny_dataset(), FinetuneOnForget(), ("text",), settings)
    return _merged(model)[1]


def test_means_do_not_hang_on_the_batch_size() -> None:
    found = []
    for size in (1, 5):
        model, rows = learning(tiny_model(), size=size)
        means = neuron_means(model, rows.batches("retain"), spoken(model), {"abs": torch.abs})
        found.append(means["abs"])
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], atol=1e-6, rtol=1e-4)


def test_pruning_needs_a_perceptron_that_learns() -> None:
    model, rows = learning(tiny_model("vision-language"))
    model.train_only(("projector",))
    with pytest.raises(RecipeError, match="no perceptron"):
        method("neuron_pruning").edit(model, rows)
