"""Mistral 3 (Mistral Small 3.1): Pixtral's tower, whose patches are merged by four."""

from __future__ import annotations

from typing import Any

from transformers import Mistral3Config, MistralConfig, PixtralVisionConfig

from clearbench.builtin.families.base import TinyFamily, ids, text
from clearbench.builtin.families.pixtral import TOWER, TinyPixtral, pixtral_processor


class TinyMistral3(TinyFamily, name="mistral3"):
    """mistralai/Mistral-Small-3.1-24B-Instruct-2503; template and tokenizer write BOS."""

    template = TinyPixtral.template
    needs_extra = True
    begin, adds_begin, end = "<s>", True, "</s>"
    tokens, words = TinyPixtral.tokens, TinyPixtral.words

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return Mistral3Config(
            vision_config=PixtralVisionConfig(**TOWER),
            text_config=MistralConfig(**text(tokenizer, head_dim=8)),
            spatial_merge_size=2,
            vision_feature_layer=-1,
            **ids(tokenizer, image_token_index="[IMG]"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        return pixtral_processor(tokenizer, str(self.template), merge=2)
