"""Loads the shipped base as a vision-language model, its language part, or its tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from transformers import LlamaForCausalLM

from clearbench.builtin.folder import base_folder
from clearbench.builtin.tiny import make_classifier
from clearbench.devices import compute_device
from clearbench.errors import ModelError, did_you_mean
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.token_model import LanguageModel
from clearbench.models.vision_language import VisionLanguageModel


def builtin_model(
    kind: str,
    labels: Sequence[str] = (),
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Model:
    """Loads the built-in base of a kind, in float32.

    Args:
        kind: The vision-language model, its language part alone, or its tower with a new head.
        labels: Names a classifier tells apart.
        seed: Seed for a classifier's new head.
        device: Device of the weights, as in `load_model`.
    """
    place = compute_device(device)
    loaded = load_model(base_folder(), kind="vision-language", dtype=torch.float32, device="cpu")
    model = part_of_base(cast(VisionLanguageModel, loaded), kind, labels, seed)
    model.module.to(place)
    model.train(False)
    return model


def part_of_base(
    whole: VisionLanguageModel, kind: str, labels: Sequence[str] = (), seed: int = 0
) -> Model:
    """Makes the model of a kind from the whole base, which may have no values.

    Args:
        whole: Vision-language model.
        kind: Kind, as for `builtin_model`.
        labels: Names a classifier tells apart.
        seed: Seed for a classifier's new head.

    Raises:
        ModelError: There is no such kind, or a classifier has no labels.
    """
    core = whole.module
    if kind == "vision-language":
        return whole
    if kind == "language":
        module = LlamaForCausalLM(core.config.text_config)
        module.model.load_state_dict(core.model.language_model.state_dict())
        module.tie_weights()
        return LanguageModel(module, whole.encoder.tokenizer)
    if kind != "classifier":
        kinds = ("language", "vision-language", "classifier")
        raise ModelError(f"no kind of model '{kind}'", "kind", did_you_mean(kind, kinds))
    if not labels:
        raise ModelError("a classifier needs labels", "builtin_model", "give labels=[names]")
    torch.manual_seed(seed)
    model = make_classifier(labels, core.model.vision_tower.config)
    model.module.resnet.load_state_dict(core.model.vision_tower.state_dict())
    return model
