"""Chooses whether answers are read as hidden states with the head that projects them to logits."""

from __future__ import annotations

from typing import Any

from torch import nn

from clearbench.batches.chunks import held_at_once


def projecting_head(core: Any, tokens: int) -> nn.Linear | None:
    """Returns a model's output head where its logits need not be held all at once.

    Args:
        core: Causal model.
        tokens: Number of answer tokens.

    Returns:
        The head; None where the logits are few, or the head is trained, hooked, or no plain matrix.
    """
    head = core.get_output_embeddings()
    if type(head) is not nn.Linear or head._forward_hooks or head._forward_pre_hooks:
        return None
    if any(weight.requires_grad for weight in (head.weight, head.bias) if weight is not None):
        return None
    many = tokens * head.out_features > held_at_once(head.weight.device)
    return head if many else None
