"""Qwen2.5-VL: Qwen2-VL with windows of attention in its vision part."""

from __future__ import annotations

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLProcessor, Qwen2VLVideoProcessor

from clearbench.builtin.families.qwen import MESSAGES, SYSTEM, VISUAL, TinyQwen


class TinyQwen25VL(TinyQwen, name="qwen2_5_vl"):
    """Qwen/Qwen2.5-VL-3B-Instruct; its template writes a system message."""

    template = SYSTEM + MESSAGES
    classes = (Qwen2_5_VLConfig, Qwen2_5_VLProcessor, Qwen2VLVideoProcessor)
    vision = {**VISUAL, "window_size": 32, "fullatt_block_indexes": [1]}
