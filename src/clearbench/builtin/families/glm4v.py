"""GLM-4V: patches in rows of their own, mrope; no token ends an answer but the next turn's."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import Glm4vConfig, Glm4vProcessor, Glm4vVideoProcessor

from clearbench.builtin.families.base import TinyFamily, ids, text
from clearbench.builtin.families.qwen import ROPE, VISUAL

_PIXELS = {"shortest_edge": 256, "longest_edge": 8192}


class TinyGlm4v(TinyFamily, name="glm4v"):
    """zai-org/GLM-4.1V-9B-Thinking."""

    template = (
        "{{ '[gMASK]<sop>' }}{% for m in messages %}{{ '<|' + m['role'] + '|>\n' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        "{{ '<|begin_of_image|><|image|><|end_of_image|>' }}{% else %}{{ c['text'] }}"
        "{% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
    )
    needs_extra = True
    end, pad = "<|endoftext|>", "<|endoftext|>"
    ends = ("<|user|>",)
    tokens = {"image_token": "<|image|>", "video_token": "<|video|>"}
    words = (
        "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>",
        "[gMASK]", "<sop>", "<|user|>", "<|assistant|>",
    )  # fmt: skip

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return Glm4vConfig(
            vision_config={**VISUAL, "image_size": 64},
            text_config=text(tokenizer, rope_parameters={**ROPE, "partial_rotary_factor": 1.0}),
            **ids(
                tokenizer,
                image_token_id="<|image|>",
                video_token_id="<|video|>",
                image_start_token_id="<|begin_of_image|>",
                image_end_token_id="<|end_of_image|>",
                video_start_token_id="<|begin_of_video|>",
                video_end_token_id="<|end_of_video|>",
            ),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        videos = Glm4vVideoProcessor(patch_size=8, size=_PIXELS)
        sizes: dict[str, Any] = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2}
        images = transformers.Glm4vImageProcessor(size=_PIXELS, **sizes)
        return Glm4vProcessor(images, tokenizer, videos, chat_template=self.template)
