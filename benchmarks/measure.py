"""What the benchmarks share: models of several sizes, CPU-seconds, and peak memory.

Models have random weights of a seed. Peak memory is read from Linux' /proc.
"""

from __future__ import annotations

import gc
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from clearbench.builtin.models import builtin_model
from clearbench.builtin.tiny import CHAT_TEMPLATE, IMAGE, image_processor
from clearbench.models.token_model import LanguageModel, TokenModel
from clearbench.models.vision_language import VisionLanguageModel

REPEATS = 5
#: Side of the square matrices whose product gives the core's rate.
SIDE = 1024


def sized_model(name: str) -> TokenModel:
    """`language 1 M`, `language 35 M`, or a vision-language model by its tokens an image."""
    torch.manual_seed(0)
    base: Any = builtin_model("vision-language" if "image" in name else "language", (), 0)
    model: TokenModel
    if name == "language 1 M":
        model = LanguageModel(LlamaForCausalLM(_llama(base, 3000, 128, 341, 4)), base.processor)
    elif name == "language 35 M":
        model = LanguageModel(LlamaForCausalLM(_llama(base, 32_000, 384, 1136, 12)), base.processor)
    else:
        model = _sighted(base, int(name.split()[0]))
    model.train(False)
    model.train_only(())
    return model


def _llama(base: Any, vocabulary: int, width: int, inner: int, layers: int) -> LlamaConfig:
    heads = width // 32
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=base.tokenizer.eos_token_id,
        pad_token_id=base.tokenizer.pad_token_id,
    )


def _sighted(base: Any, tokens: int) -> VisionLanguageModel:
    """LLaVA (6 layers, 8k vocabulary) with a CLIP tower that gives so many tokens an image."""
    side = int(tokens**0.5)
    vision = CLIPVisionConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4,
        image_size=14 * side, patch_size=14,
    )  # fmt: skip
    config = LlavaConfig(  # type: ignore[call-arg]
        vision_config=vision,
        text_config=_llama(base, 8000, 256, 683, 6),
        image_token_index=base.tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=tokens,
        vision_feature_select_strategy="default",
        vision_feature_layer=-2,
        tie_word_embeddings=True,
        pad_token_id=base.tokenizer.pad_token_id,
        eos_token_id=base.tokenizer.eos_token_id,
    )
    processor = LlavaProcessor(
        image_processor=image_processor(14 * side), tokenizer=base.tokenizer, patch_size=14,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
        image_token=IMAGE, chat_template=CHAT_TEMPLATE,
    )  # fmt: skip
    return VisionLanguageModel(LlavaForConditionalGeneration(config), processor)


def cpu_seconds(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU-seconds of each, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS):
        for name, run in runs.items():
            began = time.process_time()
            run()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def operations(run: Callable[[], object]) -> int:
    """Counts the floating-point operations of the matrix products and attention of a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def matrix_rate() -> float:
    """Measures floating-point operations a CPU-second of a square product in float32."""
    square = torch.randn(SIDE, SIDE)
    taken = cpu_seconds({"product": lambda: [square @ square for _ in range(8)]})
    return 8 * 2 * SIDE**3 / taken["product"]


def peak(prepare: Callable[..., Callable[[], object]], *about: object) -> tuple[int, int]:
    """Of what `prepare(*about)` gives to run: the bytes that it adds, and the process' peak.

    In a process of its own, so what was held before does not hide what is added.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (prepare, about))


def _peak(
    prepare: Callable[..., Callable[[], object]], about: tuple[object, ...]
) -> tuple[int, int]:
    torch.set_num_threads(1)
    run = prepare(*about)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before = _memory("VmRSS")
    run()
    return _memory("VmHWM") - before, _memory("VmHWM")


def _memory(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) * 1024 if found else 0
