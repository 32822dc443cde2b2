"""Computes how many positions a causal model has, and how far its attention reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

#: Names of a configuration's number of positions; MPT has its own.
_POSITIONS = ("max_position_embeddings", "max_seq_len")
#: Names of a configuration's window of attention: Mistral's, GPT-Neo's, Llama 4's, Griffin's.
_WINDOWS = ("sliding_window", "window_size", "attention_chunk_size", "attention_window_size")
#: Types of layers that see of other tokens what a mask shows, and nothing else.
_ATTENTION = ("full_attention", "sliding_attention", "chunked_attention")


def position_limit(core: Any) -> int | None:
    """Computes the most tokens of a sequence that a model was made for; None without a limit.

    Learned tables end there; rotary positions were trained up to there, or stretched by a factor.
    Where the longest row of a batch would decide how all others are read (dynamic factors and
    LongRoPE), it is the length up to which it does not.

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
    return _rotary_limit(config, limit)


def _rotary_limit(config: Any, limit: int) -> int:
    """Computes the limit with the scaling of rotary positions, if there is one."""
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if not isinstance(scaling, dict):
        return limit
    kind = scaling.get("rope_type", scaling.get("type"))
    first = scaling.get("original_max_position_embeddings")
    first = first or getattr(config, "original_max_position_embeddings", None)
    if kind == "longrope":
        return int(first or limit)
    if kind == "dynamic" or not first or not scaling.get("factor"):
        return limit
    return max(limit, int(scaling["factor"] * first))


def attention_window(config: Any) -> int | None:
    """Computes the shortest window or chunk of attention of a model; None where all is attended.

    Args:
        config: Configuration of the language part.
    """
    return min(_sizes(config, _WINDOWS), default=None)


def only_attends(config: Any) -> bool:
    """Whether no layer reads tokens in the order of the row, as convolutions and recurrences do.

    Args:
        config: Configuration of the language part; one that names no types of layers attends.
    """
    return all(str(kind) in _ATTENTION for kind in getattr(config, "layer_types", None) or ())


def _sizes(config: Any, names: Sequence[str]) -> list[int]:
    """Returns those of a configuration's values that are positive whole numbers."""
    values = (getattr(config, name, None) for name in names)
    return [value for value in values if isinstance(value, int) and value > 0]
