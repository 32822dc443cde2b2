"""LLaVA-OneVision: a SigLIP tower, tiles of the picture's shape, and Qwen2."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    Qwen2Config,
    SiglipVisionConfig,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

_TILES = [[32, 32], [32, 64], [64, 32]]
_SIZE = {"height": 32, "width": 32}


class TinyLlavaOnevision(TinyFamily, name="llava_onevision"):
    """llava-hf/llava-onevision-qwen2-0.5b-ov-hf."""

    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ' ' }}"
        "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>' }}{% endfor %}"
        "{% for c in m['content'] if c['type'] == 'text' %}{{ '\n' + c['text'] }}{% endfor %}"
        "{{ '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    needs_extra = True
    pad = "<|endoftext|>"
    tokens = {"image_token": "<image>", "video_token": "<video>"}
    words = ("<|im_start|>",)

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return LlavaOnevisionConfig(
            vision_config=SiglipVisionConfig(**VISION),
            text_config=Qwen2Config(**text(tokenizer)),
            image_grid_pinpoints=_TILES,
            vision_feature_layer=-1,
            vision_aspect_ratio="anyres_max_9",
            **ids(tokenizer, image_token_index="<image>", video_token_index="<video>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        videos = LlavaOnevisionVideoProcessor(size=_SIZE)
        images = transformers.LlavaOnevisionImageProcessor(size=_SIZE, image_grid_pinpoints=_TILES)
        return LlavaOnevisionProcessor(
            images,
            tokenizer,
            videos,
            num_image_tokens=16,
            vision_feature_select_strategy="full",
            chat_template=self.template,
        )
