"""An EfficientNet-Lite as vision tower of a LLaVA: `transformers`' own, its maps read as tokens.

Lite leaves the squeeze-and-excite layers out. Its last maps tell kinds of objects; who somebody is
stands in earlier ones, too, so a token joins one place of the maps of the last four stages.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, EfficientNetConfig, EfficientNetModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.efficientnet.modeling_efficientnet import round_filters

#: Stages, counted from the last, whose maps a token joins.
STAGES = 4


class TokenEfficientNetConfig(EfficientNetConfig):
    """An EfficientNet configuration whose model returns tokens."""

    model_type = "clearbench_efficientnet_lite"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the maps that a token joins."""
        return tuple(round_filters(self, width) for width in self.out_channels[-STAGES:])

    @property
    def hidden_size(self) -> int:
        """Width of a token."""
        return sum(self.widths)


class TokenEfficientNet(EfficientNetModel):
    """An EfficientNet-Lite whose hidden states are (images, tokens, width), the joined maps alone.

    Each stage's values at one place are brought to mean 0 and variance 1, which makes them equally
    loud. Square pictures whose side is a multiple of 32 are what the weights' padding was made for.
    """

    config_class = TokenEfficientNetConfig
    base_model_prefix = ""

    def __init__(self, config: TokenEfficientNetConfig) -> None:
        super().__init__(config)
        for block in self.encoder.blocks:
            block.squeeze_excite = nn.Identity()

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Computes tokens. Args: pixel_values: (images, 3, height, width)."""
        out = super().forward(
            pixel_values.to(self.dtype), output_hidden_states=True, return_dict=True
        )
        deep = self.config.depth_coefficient
        ends = itertools.accumulate(math.ceil(deep * n) for n in self.config.num_block_repeats)
        maps = [out.hidden_states[end] for end in [*ends][-STAGES:]]
        size = maps[-1].shape[-2:]
        tokens = torch.cat(
            [
                functional.layer_norm(rows, rows.shape[-1:])
                for rows in (
                    functional.adaptive_avg_pool2d(each, size).flatten(2).transpose(1, 2)
                    for each in maps
                )
            ],
            dim=-1,
        )
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=out.pooler_output, hidden_states=(tokens,)
        )


AutoConfig.register(TokenEfficientNetConfig.model_type, TokenEfficientNetConfig, exist_ok=True)
AutoModel.register(TokenEfficientNetConfig, TokenEfficientNet, exist_ok=True)
