"""What the Qwen-VL families have in common: ChatML, patches in rows of their own, mrope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import transformers

from clearbench.builtin.families.base import TinyFamily, ids, text

PIXELS = {"shortest_edge": 256, "longest_edge": 4096}
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
VISUAL: Mapping[str, Any] = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 8,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 32,
}
MESSAGES = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SYSTEM = "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}"


class TinyQwen(TinyFamily):
    """A Qwen-VL, whose configuration is a mapping for vision and one for language.

    Attributes:
        classes: Classes of the configuration, the processor and the video processor.
        vision: Settings of the vision part.
        language: Further settings of the language part.
    """

    template: ClassVar[str | None] = MESSAGES
    needs_extra = True
    pad = "<|endoftext|>"
    tokens = {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    }
    words: ClassVar[tuple[str, ...]] = ("<|im_start|>",)
    ends = ("<|endoftext|>",)
    split = SPLIT
    classes: ClassVar[tuple[Any, Any, Any]]
    vision: ClassVar[Mapping[str, Any]]
    language: ClassVar[Mapping[str, Any]] = {"rope_parameters": ROPE}

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return self.classes[0](
            vision_config=dict(self.vision),
            text_config=text(tokenizer, **self.language),
            **ids(tokenizer, **{f"{name}_id": token for name, token in self.tokens.items()}),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        _, processor, video_processor = self.classes
        videos = video_processor(patch_size=8, size=PIXELS)
        images = transformers.Qwen2VLImageProcessor(
            patch_size=8, merge_size=2, temporal_patch_size=2, size=PIXELS
        )
        return processor(images, tokenizer, videos, chat_template=self.template)
