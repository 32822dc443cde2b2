"""Qwen3-VL: vision states enter the first layers of the language part, too."""

from __future__ import annotations

from transformers import Qwen3VLConfig, Qwen3VLProcessor, Qwen3VLVideoProcessor

from clearbench.builtin.families.qwen import ROPE, VISUAL, TinyQwen


class TinyQwen3VL(TinyQwen, name="qwen3_vl"):
    """Qwen/Qwen3-VL-2B-Instruct."""

    classes = (Qwen3VLConfig, Qwen3VLProcessor, Qwen3VLVideoProcessor)
    vision = {**VISUAL, "deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    language = {"head_dim": 8, "rope_parameters": {**ROPE, "mrope_interleaved": True}}
