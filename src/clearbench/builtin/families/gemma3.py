"""Gemma 3: image tokens see one another; the template and the tokenizer write BOS."""

from __future__ import annotations

from typing import Any

from transformers import (
    Gemma3Config,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    Gemma3TextConfig,
    SiglipVisionConfig,
)

from clearbench.builtin.families.base import VISION, TinyFamily, ids, text


class TinyGemma3(TinyFamily, name="gemma3"):
    """google/gemma-3-4b-it."""

    template = (
        "{{ bos_token }}{% for m in messages %}"
        "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<start_of_image>' }}"
        "{% else %}{{ c['text'] | trim }}{% endif %}{% endfor %}{{ '<end_of_turn>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    )
    begin, adds_begin, end = "<bos>", True, "<eos>"
    ends = ("<end_of_turn>",)
    tokens = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    words = ("<start_of_turn>", "<end_of_turn>")

    def config(self, tokenizer: Any) -> Any:
        """Makes the model's configuration; one layer sees a window, one all."""
        return Gemma3Config(
            vision_config=SiglipVisionConfig(**VISION, vision_use_head=False),
            text_config=Gemma3TextConfig(
                **text(tokenizer, head_dim=8, query_pre_attn_scalar=8, sliding_window=64),
                layer_types=["sliding_attention", "full_attention"],
            ),
            mm_tokens_per_image=4,
            **ids(tokenizer, **{f"{name}_index": token for name, token in self.tokens.items()}),
        )

    def processor(self, tokenizer: Any) -> Any:
        """Makes the processor."""
        return Gemma3Processor(
            Gemma3ImageProcessorPil(size={"height": 32, "width": 32}),
            tokenizer,
            image_seq_length=4,
            chat_template=self.template,
        )
