"""Finds a batch's visual tokens, the attention paid to them, and lets guards replace them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from clearbench.batches.batch import Batch
from clearbench.models.families.base import accepted


def visual_tokens(core: Any, batch: Batch) -> Tensor:
    """Marks the tokens that stand for images, (rows, length)."""
    ids = batch.inputs["input_ids"]
    image = getattr(core.config, "image_token_id", None)
    return torch.zeros_like(ids, dtype=torch.bool) if image is None else ids == image


@torch.no_grad()
def attention_paid(core: Any, batch: Batch, queries: Tensor) -> Tensor:
    """Computes the mean attention that a row's queries pay to each token, (rows, length).

    Over layers and heads of the language part, in the one implementation that returns weights.

    Args:
        core: Model, as of `transformers`.
        batch: Inputs of the model.
        queries: Mask of the tokens that attend, (rows, length).
    """
    before = core.config.get_text_config()._attn_implementation
    core.set_attn_implementation({"text_config": "eager"})
    try:
        out = core.base_model(**accepted(core.base_model, batch.inputs), output_attentions=True)
    finally:
        core.set_attn_implementation({"text_config": before})
    weights = torch.stack([layer.mean(1) for layer in out.attentions]).mean(0)
    share = queries.to(weights) / queries.sum(1, keepdim=True).clamp_min(1)
    return torch.einsum("rq,rqk->rk", share, weights)


def before_layer(
    layer: nn.Module, like: Tensor, change: Callable[[Tensor], Tensor]
) -> RemovableHandle:
    """Registers a hook that replaces a layer's input for whole prompts of the shape of `like`."""

    def hook(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        states = inputs[0] if inputs else named["hidden_states"]
        if states.shape[:2] != like.shape:  # a token that is being generated
            return None
        if inputs:
            return (change(states), *inputs[1:]), named
        return inputs, named | {"hidden_states": change(states)}

    return layer.register_forward_pre_hook(hook, with_kwargs=True)
