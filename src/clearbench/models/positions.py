"""Computes how many positions a causal model has, and how far its attention reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

#: Names of a configuration's number of positions; MPT has its own.
_POSITIONS = ("max_position_embeddings", "max_seq_len")
#: Names of a configuration's window of attention: Mistral's, GPT-Neo's, Llama 4's, Griffin's.
_WINDOWS = ("sliding_window", "window_size", "attention_chunk_size", "attention_window_size")


def position_limit(core: Any) -> int | None:
    """Computes the most tokens of a sequence that a model was made for; None without a limit.

    Learned tables end there; rotary positions were trained up to there, or stretched by a factor.

    Args:
        core: Model, as of `transformers`.
    """
    config = core.config.get_text_config()
    if getattr(config, "alibi", False):  # Falcon's slopes have no end
        return None
    sizes = _sizes(config, _POSITIONS)
    if not sizes:
        return None
    limit = sizes[0]
    for name, module in core.named_modules():
        table = isinstance(module, nn.Embedding) and name.endswith("position_embeddings")
        if table and module.padding_idx is not None:  # RoBERTa counts from the one after padding
            return min(limit, int(module.num_embeddings) - int(module.padding_idx) - 1)
    return max(limit, _stretched(config))


def _stretched(config: Any) -> int:
    """Computes the positions of rotary embeddings that a factor stretches; 0 without one."""
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if not isinstance(scaling, dict) or "factor" not in scaling:
        return 0
    if scaling.get("rope_type", scaling.get("type")) == "dynamic":
        return 0  # beyond its limit, the longest row of a batch decides what the others read
    first = scaling.get("original_max_position_embeddings")
    return int(float(scaling["factor"]) * first) if first else 0


def attention_window(config: Any) -> int | None:
    """Computes the shortest window or chunk of attention of a model; None where all is attended.

    Args:
        config: Configuration of the language part.
    """
    return min(_sizes(config, _WINDOWS), default=None)


def _sizes(config: Any, names: Sequence[str]) -> list[int]:
    """Returns those of a configuration's values that are positive whole numbers."""
    values = (getattr(config, name, None) for name in names)
    return [value for value in values if isinstance(value, int) and value > 0]
