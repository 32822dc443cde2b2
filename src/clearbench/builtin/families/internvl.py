"""InternVL: a tower of its own, tiles, and Qwen2."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import (
    InternVLConfig,
    InternVLProcessor,
    InternVLVideoProcessor,
    Qwen2Config,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

_SIZE = {"height": 32, "width": 32}


class TinyInternVL(TinyFamily, name="internvl"):
    """OpenGVLab/InternVL3-1B-hf."""

    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    needs_extra = True
    pad = "<|endoftext|>"
    tokens = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    words = ("<|im_start|>",)

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        vision = {**VISION, "image_size": [32, 32], "patch_size": [8, 8]}
        return InternVLConfig(
            vision_config=vision,
            text_config=Qwen2Config(**text(tokenizer)),
            downsample_ratio=0.5,
            image_seq_length=4,
            **ids(tokenizer, image_token_id="<IMG_CONTEXT>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        videos = InternVLVideoProcessor(size=_SIZE)
        images = transformers.GotOcr2ImageProcessor(
            size=_SIZE, crop_to_patches=True, min_patches=1, max_patches=2
        )
        return InternVLProcessor(
            images, tokenizer, videos, image_seq_length=4, chat_template=self.template
        )
