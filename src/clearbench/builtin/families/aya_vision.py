"""Aya Vision: a SigLIP tower and Command R7B; an answer stands between tokens of its own."""

from __future__ import annotations

from typing import Any

from transformers import (
    AyaVisionConfig,
    AyaVisionProcessor,
    Cohere2Config,
    GotOcr2ImageProcessorPil,
    SiglipVisionConfig,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

_TURN = "<|START_OF_TURN_TOKEN|>"


class TinyAyaVision(TinyFamily, name="aya_vision"):
    """CohereLabs/aya-vision-8b; template and tokenizer write BOS."""

    template = (
        "{{ bos_token }}{% for m in messages %}{{ '" + _TURN + "' }}"
        "{{ '<|USER_TOKEN|>' if m['role'] == 'user' else '<|CHATBOT_TOKEN|><|START_RESPONSE|>' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<image>' }}"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
        "{% if m['role'] == 'assistant' %}{{ '<|END_RESPONSE|>' }}{% endif %}"
        "{{ '<|END_OF_TURN_TOKEN|>' }}{% endfor %}{% if add_generation_prompt %}"
        "{{ '" + _TURN + "<|CHATBOT_TOKEN|><|START_RESPONSE|>' }}{% endif %}"
    )
    begin, adds_begin, end, pad = "<BOS_TOKEN>", True, "<|END_OF_TURN_TOKEN|>", "<PAD>"
    tokens = {"image_token": "<image>"}
    words = (
        "<|IMG_PATCH|>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "TILE_", "TILE_GLOBAL",
        "<|IMG_LINE_BREAK|>", _TURN, "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>",
        "<|END_RESPONSE|>",
    )  # fmt: skip

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return AyaVisionConfig(
            vision_config=SiglipVisionConfig(**VISION, vision_use_head=False),
            text_config=Cohere2Config(**text(tokenizer)),
            downsample_factor=2,
            vision_feature_layer=-1,
            adapter_layer_norm_eps=1e-6,
            **ids(tokenizer, image_token_index="<|IMG_PATCH|>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        return AyaVisionProcessor(
            GotOcr2ImageProcessorPil(
                size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=2
            ),
            tokenizer,
            patch_size=8,
            img_size=32,
            downsample_factor=2,
            chat_template=self.template,
        )
