"""PaliGemma: its processor puts the image and BOS before the text; the prompt is read both ways."""

from __future__ import annotations

from typing import Any

from transformers import (
    GemmaConfig,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

_WIDTH: dict[str, Any] = {"projection_dim": 32}


class TinyPaliGemma(TinyFamily, name="paligemma"):
    """google/paligemma2-3b-mix-224, which has no chat template."""

    template = None
    begin, adds_begin, end = "<bos>", True, "<eos>"
    tokens = {"image_token": "<image>"}

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return PaliGemmaConfig(
            vision_config=SiglipVisionConfig(**VISION, **_WIDTH),
            text_config=GemmaConfig(**text(tokenizer, head_dim=8)),
            **_WIDTH,
            hidden_size=32,
            **ids(tokenizer, image_token_index="<image>"),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        images: Any = SiglipImageProcessorPil(size={"height": 32, "width": 32})
        images.image_seq_length = 16
        return PaliGemmaProcessor(images, tokenizer)
