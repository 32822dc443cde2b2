"""Rounding of weights, worked out by hand, and what is rounded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from transformers import GPT2Config, GPT2LMHeadModel

from clearbench.attacks.base import Target, attack
from clearbench.attacks.quantisation import NF4, Quantisation, body, int8, nf4, rtn4
from clearbench.builtin.tiny import tiny_model
from clearbench.errors import ModelError, RecipeError
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.models.adapters import add_lora
from clearbench.models.load import load_model
from clearbench.testing.collections import typical_dataset
from clearbench.testing.world import base, copied, taught


def test_8_bits_are_steps_of_a_127th_of_the_largest_of_an_output() -> None:
    weights = torch.tensor([[1.27, -0.5, 0.004, 0.006], [0.0, 0.0, 0.0, 0.0], [-127.0, 2.4, 0, 1]])
    right = [[1.27, -0.5, 0.0, 0.01], [0.0, 0.0, 0.0, 0.0], [-127.0, 2.0, 0, 1]]
    assert torch.allclose(int8(weights), torch.tensor(right))


def test_normal_floats_are_quantiles_of_the_normal_distribution() -> None:
    """Appendix E of QLoRA: 8 quantiles above 0 and 7 below, scaled to 1, and 0."""
    end = (1 - 1 / 30 + 1 - 1 / 32) / 2
    above = norm.ppf(np.linspace(end, 0.5, 9)[:-1])
    below = -norm.ppf(np.linspace(end, 0.5, 8)[:-1])
    values = np.sort([*below, 0.0, *above]) / above.max()
    assert len(set(NF4)) == 16 and np.abs(values - NF4).max() < 1e-6


def test_normal_floats_share_a_largest_value_in_blocks_of_64() -> None:
    """.7 / 2 is nearest to .3379 and -1.2 / 2 to -.5251; the 65th weight is a block of its own."""
    weights = torch.zeros(5, 13)
    weights[0, :3] = torch.tensor([2.0, 0.7, -1.2])
    weights[4, 12] = 0.3
    rounded = nf4(weights)
    assert rounded[0, :3].tolist() == pytest.approx([2.0, 2 * NF4[11], 2 * NF4[2]])
    assert rounded[4, 12].item() == pytest.approx(0.3)
    assert rounded.count_nonzero() == 4


def test_rounding_to_nearest_has_16_steps_in_groups_of_128() -> None:
    """From -1 to 2 in steps of .2, of which the fifth is 0; the 129th input is another group."""
    weights = torch.zeros(2, 130)
    weights[0, :4] = torch.tensor([-1.0, 2.0, 0.33, -0.24])
    weights[0, 128:] = torch.tensor([0.3, 0.1])
    rounded = rtn4(weights)
    assert rounded[0, :4].tolist() == pytest.approx([-1.0, 2.0, 0.4, -0.2])
    assert rounded[0, 128:].tolist() == pytest.approx([0.3, 0.1])
    assert not rounded[1].any() and rounded.shape == weights.shape
    positive = rtn4(torch.linspace(3.0, 4.5, 128)[None])  # 0 is a step: (0 to 4.5) / 15
    assert (positive / 0.3 - (positive / 0.3).round()).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "among", "never"),
    [
        ("language", "layers.0.self_attn.q_proj", ("lm_head", "embed_tokens", "norm")),
        ("vision-language", "multi_modal_projector.linear_1", ("lm_head", "embed_tokens")),
        ("classifier", "stages.0.layers.0.layer.0.convolution", ("classifier", "norm")),
    ],
)
def test_heads_embeddings_and_norms_stay(kind: str, among: str, never: tuple[str, ...]) -> None:
    names = list(body(tiny_model(kind)))
    assert any(name.endswith(among) for name in names)
    assert not any(set(never) & set(name.split(".")) for name in names)


def target(model: object) -> Target:
    return Target(Collections(Records({})), model, typical_dataset())  # type: ignore[arg-type]


def known(made: Quantisation, model: object) -> dict[str, list[float]]:
    """Values by level."""
    lines = made.table(target(model))
    return {str(level): list(each["value"]) for level, each in lines.groupby("level")}


def test_what_is_read_is_the_model_with_rounded_weights() -> None:
    """Weights that are rounded already lose nothing by the same rounding, and change by another."""
    made, model = Quantisation(levels=("rtn4", "int8"), retained=0), copied(taught("language"))
    with torch.no_grad():
        for layer in body(model).values():
            layer.weight.copy_(rtn4(layer.weight))  # type: ignore[operator, arg-type]
    before = model.fingerprint
    found = known(made, model)
    assert set(found) == {"full", "rtn4", "int8"}
    assert found["rtn4"] == pytest.approx(found["full"], rel=1e-4)
    assert found["int8"] != found["full"] and model.fingerprint == before


def test_adapters_are_rounded_with_their_weights() -> None:
    plain, adapted = copied(taught("language")), copied(taught("language"))
    add_lora(adapted, ("language",), 2)  # which adds nothing yet
    assert known(Quantisation(levels=("nf4",)), adapted) == known(
        Quantisation(levels=("nf4",)), plain
    )


def test_weights_that_are_stored_transposed_are_rounded_by_output() -> None:
    torch.manual_seed(0)
    small = GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=128)
    model = load_model(GPT2LMHeadModel(small), base("language").processor)
    layer = model.module.transformer.h[0].attn.c_attn  # 16 inputs, 48 outputs
    with torch.no_grad():
        layer.weight.copy_(int8(layer.weight.T.contiguous()).T)
    made = Quantisation(levels=("int8",), retained=0)
    layers = body(model)
    assert "transformer.h.0.attn.c_attn" in layers and "lm_head" not in layers
    with torch.no_grad():
        for name, each in layers.items():
            if not name.endswith("c_attn"):
                each.weight.zero_()  # type: ignore[operator, union-attr]
    found = known(made, model)
    assert found["int8"] == pytest.approx(found["full"], rel=1e-5)


def test_libraries_that_are_not_there_are_refused_before_any_work() -> None:
    with pytest.raises(RecipeError, match="not installed, or the model is not on a GPU"):
        attack("quantisation", backend="bitsandbytes", levels=("nf4",)).table(
            target(base("language"))
        )
    with pytest.raises(RecipeError, match="no precision 'rtn4'"):
        attack("quantisation", backend="bitsandbytes").table(target(base("language")))
    model = copied(base("language"))
    model.module.model.layers = torch.nn.ModuleList()
    with pytest.raises(ModelError, match="no linear layer"):
        body(model)


def test_keys_name_the_levels() -> None:
    assert attack("quantisation").score_key == "quantisation"
    assert attack("quantisation", levels=("nf4",)).score_key == "quantisation_nf4"
    made = attack("quantisation", levels=("nf4", "int8"))
    assert made.score_key == "quantisation_nf4_int8"
    assert made.description.title == "Quantisation (nf4, int8)"
    assert Quantisation().order(["nf4", "full", "rtn4", "int8"]) == ["full", "int8", "nf4", "rtn4"]
