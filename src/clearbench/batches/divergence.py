"""Computes divergences between logits, and their gradients in the same pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from clearbench.batches.items import CACHED


class Divergence(torch.autograd.Function):
    """(tokens,) T^2 KL(softmax(reference / T) || softmax(model / T)), from logits.

    Its gradient, T (softmax(model / T) - softmax(reference / T)), is computed in the same pass and
    is all that is kept. On a CPU a pass is over as many tokens as a core's cache holds.
    """

    @staticmethod
    def forward(ctx: Any, reference: Tensor, model: Tensor, temperature: float) -> Tensor:
        """Computes the divergences, and keeps their gradient."""
        rows = max(1, CACHED // model.shape[-1] if model.is_cpu else len(model))
        slope, values = torch.empty_like(model), []
        parts = (tensor.split(rows) for tensor in (reference, model, slope))
        for theirs, ours, part in zip(*parts, strict=True):
            target = functional.log_softmax(theirs / temperature, dim=-1)
            log_probs = functional.log_softmax(ours / temperature, dim=-1)
            weights = target.exp()
            values.append((target.sub_(log_probs).mul_(weights)).sum(-1))
            torch.sub(log_probs.exp_(), weights, out=part)
        ctx.save_for_backward(slope.mul_(temperature))
        return temperature**2 * torch.cat(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[None, Tensor, None]:
        """Multiplies the kept gradient by that of the result."""
        (slope,) = ctx.saved_tensors
        return None, outer[:, None] * slope, None
