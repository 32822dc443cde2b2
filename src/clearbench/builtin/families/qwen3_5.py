"""Qwen3.5: linear attention in some layers, and an empty block of thoughts before an answer."""

from __future__ import annotations

from transformers import Qwen3_5Config, Qwen3VLProcessor, Qwen3VLVideoProcessor

from clearbench.builtin.families.qwen import MESSAGES, ROPE, VISUAL, TinyQwen

_THOUGHTS = "{% if m['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
_ASKED = "{{ '<|im_start|>assistant\n"


class TinyQwen35(TinyQwen, name="qwen3_5"):
    """Qwen/Qwen3.5-2B, asked without thoughts."""

    template = MESSAGES.replace(
        "{% if m['content'] is string", _THOUGHTS + "{% if m['content'] is string"
    ).replace(_ASKED, _ASKED + "<think>\n\n</think>\n\n")
    words = ("<|im_start|>", "<think>", "</think>")
    classes = (Qwen3_5Config, Qwen3VLProcessor, Qwen3VLVideoProcessor)
    vision = {**VISUAL, "num_position_embeddings": 64}
    language = {
        "head_dim": 16,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "rope_parameters": {**ROPE, "mrope_section": [1, 1, 0], "partial_rotary_factor": 0.25},
    }
