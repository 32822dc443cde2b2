"""LLaVA 1.5: a CLIP tower, two linear layers, a Llama; its tokenizer adds `<s>`, nothing `</s>`."""

from __future__ import annotations

from typing import Any

from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text


class TinyLlava(TinyFamily, name="llava"):
    """llava-hf/llava-1.5-7b-hf."""

    template = (
        "{% for m in messages %}{{ m['role'].upper() + ': ' }}"
        "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
        "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] + ' ' }}{% endfor %}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    )
    begin, adds_begin, end = "<s>", True, "</s>"
    tokens = {"image_token": "<image>"}

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return LlavaConfig(
            vision_config=CLIPVisionConfig(**VISION),
            text_config=LlamaConfig(**text(tokenizer)),
            image_seq_length=16,
            **ids(tokenizer, image_token_index="<image>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor; the class token of CLIP is its additional image token."""
        images = CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )
        return LlavaProcessor(
            images,
            tokenizer,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=self.template,
        )
