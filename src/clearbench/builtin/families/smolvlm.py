"""SmolVLM: Idefics3 with another tokenizer, whose text begins with `<|im_start|>`."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import (
    SmolVLMConfig,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)

from clearbench.builtin.families.base import TinyFamily
from clearbench.builtin.families.idefics3 import IMAGES, TURNS, TinyIdefics3, shared_config


class TinySmolVLM(TinyFamily, name="smolvlm"):
    """HuggingFaceTB/SmolVLM2-500M-Video-Instruct."""

    template = "{{ '<|im_start|>' }}" + TURNS
    needs_extra = True
    begin, end, pad = "<|im_start|>", "<end_of_utterance>", "<|im_end|>"
    tokens = TinyIdefics3.tokens

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return SmolVLMConfig(**shared_config(tokenizer))

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        videos = SmolVLMVideoProcessor(**IMAGES)
        images = transformers.SmolVLMImageProcessor(**IMAGES)
        return SmolVLMProcessor(
            images, tokenizer, videos, image_seq_len=4, chat_template=self.template
        )
