"""A ResNet as vision tower of a LLaVA: `transformers`' own, its last map read as tokens.

A convolutional tower learns faces from a few hundred images, where a small ViT does not
(docs/demo-world.md); LLaVA expects (images, tokens, width), which is all that is added here.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import AutoConfig, AutoModel, ResNetConfig, ResNetModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


class TokenResNetConfig(ResNetConfig):
    """A ResNet configuration whose model returns tokens."""

    model_type = "clearbench_resnet"

    @property
    def hidden_size(self) -> int:
        """Width of a token."""
        return int(self.hidden_sizes[-1])  # type: ignore[index]  # None only in the annotation


class TokenResNet(ResNetModel):
    """A ResNet whose hidden states are (images, tokens, width), the last map alone."""

    config_class = TokenResNetConfig
    base_model_prefix = ""

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Computes tokens. Args: pixel_values: (images, 3, height, width)."""
        out = super().forward(pixel_values.to(self.dtype), return_dict=True)
        tokens = out.last_hidden_state.flatten(2).transpose(1, 2)
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=out.pooler_output, hidden_states=(tokens,)
        )


AutoConfig.register(TokenResNetConfig.model_type, TokenResNetConfig, exist_ok=True)
AutoModel.register(TokenResNetConfig, TokenResNet, exist_ok=True)
