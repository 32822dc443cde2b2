"""Adds, merges and loads LoRA adapters (PEFT) on chosen parts of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from clearbench.errors import ModelError
from clearbench.models.base import Model


def add_lora(model: Model, parts: Sequence[str], rank: int, alpha: int | None = None) -> None:
    """Adds adapters to every linear layer of the given parts and freezes the rest.

    A classifier's convolutions get adapters, too: else only its head would be trained.

    Args:
        model: Model to change in place.
        parts: Names among `vision`, `projector`, `language`.
        rank: Rank of each adapter.
        alpha: Scale of LoRA; `2 * rank` by default, the common choice.
    """
    head = model.family.output_head
    layers = (nn.Linear, nn.Conv2d) if model.kind == "classifier" else (nn.Linear,)
    targets = [
        name
        for name, layer in model.module.named_modules()
        if isinstance(layer, layers) and model.part_of(name) in parts and head not in name
    ]
    if not targets:
        raise ModelError(
            f"no linear layer in {', '.join(parts)}", "lora", f"parts here: {model.parts}"
        )
    config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=targets)
    model.module = get_peft_model(model.module, config)


def merge_adapters(model: Model) -> None:
    """Adds the adapters to the weights they belong to, in place; without any, does nothing."""
    merge = getattr(model.module, "merge_and_unload", None)
    if callable(merge):
        model.module = merge()


def choose_parameters(model: Model, parts: Sequence[str], lora_rank: int | None, seed: int) -> None:
    """Makes the given parts trainable: their weights, or adapters of the given rank on them.

    Adapters begin at random values, which `seed` fixes.
    """
    if lora_rank is not None:
        torch.manual_seed(seed)
        add_lora(model, parts, lora_rank)
    model.train_only(parts)
    if not model.trainable():
        raise ModelError(
            f"nothing to train in {', '.join(parts)}",
            "train.parts",
            f"this model has: {', '.join(model.parts)}",
        )


def load_adapter(model: Model, folder: Path) -> None:
    """Adds saved adapters to their base model, in place."""
    model.module = PeftModel.from_pretrained(model.module, str(folder))
    model.train(False)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds adapters alone."""
    return (folder / "adapter_config.json").is_file()
