"""LLaVA-NeXT: LLaVA that cuts a picture into tiles of its shape, on Mistral."""

from __future__ import annotations

from typing import Any

from transformers import (
    CLIPVisionConfig,
    LlavaNextConfig,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    MistralConfig,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

_TILES = [[32, 64], [64, 32]]


class TinyLlavaNext(TinyFamily, name="llava_next"):
    """llava-hf/llava-v1.6-mistral-7b-hf."""

    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' }}"
        "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
        "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }}{% endfor %}"
        "{{ ' [/INST]' }}{% else %}{{ ' ' + m['content'][0]['text'] + '</s> ' }}{% endif %}"
        "{% endfor %}"
    )
    begin, adds_begin, end = "<s>", True, "</s>"
    tokens = {"image_token": "<image>"}

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return LlavaNextConfig(
            vision_config=CLIPVisionConfig(**VISION),
            text_config=MistralConfig(**text(tokenizer, head_dim=8)),
            image_grid_pinpoints=_TILES,
            **ids(tokenizer, image_token_index="<image>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        images = LlavaNextImageProcessorPil(
            size={"shortest_edge": 32},
            crop_size={"height": 32, "width": 32},
            image_grid_pinpoints=_TILES,
        )
        return LlavaNextProcessor(
            images,
            tokenizer,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=self.template,
        )
