"""Computes log-probabilities under a linear head some tokens at a time, with their gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

#: Logits that are held at once: 16 MB on a CPU, 256 MB on a GPU, which needs larger products.
HELD_ON_CPU = 2**22
HELD_ON_GPU = 2**26


def held_at_once(device: torch.device) -> int:
    """Number of logits that are held at once on a device."""
    return HELD_ON_GPU if device.type == "cuda" else HELD_ON_CPU


def log_probs(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Computes log softmax(states @ weight.T + bias)[target], (tokens,); the head has no gradient.

    Args:
        states: Hidden states of the tokens, (tokens, width).
        weight: Weight of the head, (vocabulary, width).
        bias: Bias of the head, (vocabulary,).
        targets: Token whose log-probability is computed, (tokens,).
    """
    values: Tensor = _LogProbs.apply(states, weight, bias, targets)  # type: ignore[no-untyped-call]
    return values


class _LogProbs(torch.autograd.Function):
    """(tokens,) log softmax(states @ weight.T + bias)[target], some tokens at a time.

    A token's value depends on its own state alone, so that the gradient on its state is computed in
    the same pass and is all that is kept: (tokens, width) in place of several (tokens, vocabulary).
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
    ) -> Tensor:
        rows = max(1, held_at_once(states.device) // len(weight))
        learns = ctx.needs_input_grad[0]
        if torch.is_autocast_enabled(states.device.type):
            weight = weight.to(torch.get_autocast_dtype(states.device.type))
        slope = torch.empty_like(states) if learns else states
        values = []
        parts = (tensor.split(rows) for tensor in (states, targets, slope))
        for own, wanted, gradient in zip(*parts, strict=True):
            with torch.set_grad_enabled(learns):
                read = own.detach().requires_grad_(learns)
                logits = functional.linear(read, weight, bias).float()
                part = -functional.cross_entropy(logits, wanted, reduction="none")
                total = part.sum()
            if learns:
                gradient.copy_(torch.autograd.grad(total, read)[0])
            values.append(part.detach())
        if learns:
            ctx.save_for_backward(slope)
        return torch.cat(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors
        return outer[:, None].to(slope.dtype) * slope, None, None, None
