"""Pixtral inside LLaVA: a tower that takes pictures of any shape, and Mistral."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import (
    LlavaConfig,
    MistralConfig,
    PixtralImageProcessorPil,
    PixtralProcessor,
    PixtralVisionConfig,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

TOWER: Mapping[str, Any] = {**VISION, "image_size": 64, "head_dim": 16}


class TinyPixtral(TinyFamily, name="pixtral"):
    """mistral-community/pixtral-12b; the template and the tokenizer write BOS."""

    template = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST]' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '[IMG]' }}"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '[/INST]' }}"
        "{% else %}{{ m['content'][0]['text'] + eos_token }}{% endif %}{% endfor %}"
    )
    needs_extra = True
    begin, adds_begin, end = "<s>", True, "</s>"
    tokens = {
        "image_token": "[IMG]",
        "image_break_token": "[IMG_BREAK]",
        "image_end_token": "[IMG_END]",
    }
    words = ("[INST]", "[/INST]")

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return LlavaConfig(
            vision_config=PixtralVisionConfig(**TOWER),
            text_config=MistralConfig(**text(tokenizer, head_dim=8)),
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            image_seq_length=1,
            **ids(tokenizer, image_token_index="[IMG]"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        return pixtral_processor(tokenizer, str(self.template), merge=1)


def pixtral_processor(tokenizer: Any, template: str, merge: int) -> Any:
    """Makes a processor of which `merge` x `merge` patches are one token."""
    return PixtralProcessor(
        PixtralImageProcessorPil(size={"longest_edge": 64}, patch_size={"height": 8, "width": 8}),
        tokenizer,
        patch_size=8,
        spatial_merge_size=merge,
        image_token="[IMG]",
        chat_template=template,
    )
