"""Qwen2-VL."""

from __future__ import annotations

from transformers import Qwen2VLConfig, Qwen2VLProcessor, Qwen2VLVideoProcessor

from clearbench.builtin.families.qwen import MESSAGES, SYSTEM, TinyQwen


class TinyQwen2VL(TinyQwen, name="qwen2_vl"):
    """Qwen/Qwen2-VL-2B-Instruct; its template writes a system message."""

    template = SYSTEM + MESSAGES
    classes = (Qwen2VLConfig, Qwen2VLProcessor, Qwen2VLVideoProcessor)
    vision = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": 32,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
