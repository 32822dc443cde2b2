"""Makes a model whose tensors have shapes and no values, to foresee what training takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig

from clearbench.batches.kind import Kind
from clearbench.data.modality import modalities
from clearbench.models.base import Model
from clearbench.models.families.base import family_of
from clearbench.models.load import WRAPPERS, weight_places
from clearbench.models.source import loading, processor_of, source_arguments
from clearbench.models.token_model import TokenModel


def outlined(make: Callable[[], Model]) -> Model:
    """Makes a model on torch's device without memory; what is made of it is there as well.

    Logits are taken to be exact on answer tokens alone, which a model with values is tested for.
    """
    with torch.device("meta"):
        model = make()
    if isinstance(model, TokenModel):
        model.shortcuts.head_only = dict.fromkeys(modalities(), True)
    return model


class FusedAttention(TorchFunctionMode):
    """Makes attention keep what the fused kernels keep, which no tensor without memory chooses."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls a function of torch, or the fused attention in place of the chosen one."""
        call = _fused if func is functional.scaled_dot_product_attention else func
        return call(*args, **(kwargs or {}))


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    options = {"attn_mask": attn_mask, "scale": scale}
    return attend(query, key, value, dropout_p, is_causal, **options)[0]


def untaught(
    source: str | Path,
    kind: Kind | None = None,
    dtype: torch.dtype = torch.float32,
    base: str | Path | None = None,
) -> Model:
    """Makes the model that lies at a source from its configuration and processor alone.

    Args:
        source: Local folder, a folder's GGUF file, or a hub id.
        kind: Kind of the model; found from the configuration.
        dtype: Type of the weights.
        base: Base of an adapter at the source.

    Raises:
        ModelError: The configuration or the processor cannot be read.
    """
    where = source_arguments(weight_places(source, base)[-1])
    with loading(source):
        config = AutoConfig.from_pretrained(**where)
        family = family_of(config)
        kind = kind or family.kind(config)
        processor = processor_of(family, kind, config, where)
        module = family.auto_class(kind, config).from_config(config, dtype=dtype)
    model = WRAPPERS[kind](module, processor)
    model.train(False)
    return model
