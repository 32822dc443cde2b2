"""Idefics3: a picture becomes tiles and a thumbnail; the template and the tokenizer write BOS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import Idefics3Config, Idefics3ImageProcessorPil, Idefics3Processor

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text

TURNS = (
    "{% for m in messages %}{{ m['role'] | capitalize }}"
    "{% if m['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}"
    "{% else %}{{ '<image>' }}{% endif %}{% endfor %}{{ '<end_of_utterance>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
IMAGES: Mapping[str, Any] = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}


class TinyIdefics3(TinyFamily, name="idefics3"):
    """HuggingFaceM4/Idefics3-8B-Llama3."""

    template = "{{ '<|begin_of_text|>' }}" + TURNS
    begin, adds_begin, end = "<|begin_of_text|>", True, "<|end_of_text|>"
    ends = ("<end_of_utterance>",)
    tokens = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration."""
        return Idefics3Config(**shared_config(tokenizer))

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        return Idefics3Processor(
            Idefics3ImageProcessorPil(**IMAGES),
            tokenizer,
            image_seq_len=4,
            chat_template=self.template,
        )


def shared_config(tokenizer: Any) -> dict[str, Any]:
    """Returns settings that Idefics3 and SmolVLM share."""
    return {
        "vision_config": dict(VISION),
        "text_config": {"model_type": "llama", **text(tokenizer)},
        "scale_factor": 2,
        "pad_token_id": tokenizer.pad_token_id,
        **ids(tokenizer, image_token_id="<image>"),
    }
