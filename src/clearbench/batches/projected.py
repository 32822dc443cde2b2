"""Computes log-probabilities of answer tokens from hidden states, without all logits at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
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


@dataclass(frozen=True)
class Projected:
    """Hidden states of answer tokens, and the frozen linear head that makes logits of them.

    Attributes:
        states: Hidden states that the head reads, (tokens, width).
        weight: Weight of the head, (vocabulary, width), as it was when the states were computed.
        bias: Bias of the head, (vocabulary,); None without one.
    """

    states: Tensor
    weight: Tensor
    bias: Tensor | None

    @cached_property
    def logits(self) -> Tensor:
        """Logits before the softmax, (tokens, vocabulary)."""
        with self._as_given():
            return functional.linear(self.states, self.weight, self.bias).float()

    @property
    def is_read(self) -> bool:
        """Whether something has asked for the logits."""
        return "logits" in vars(self)

    def log_probs(self, targets: Tensor) -> Tensor:
        """Computes the log-probability of each target, (tokens,)."""
        with self._as_given():
            values: Tensor = _LogProbs.apply(self.states, self.weight, self.bias, targets)  # type: ignore[no-untyped-call]
        return values

    def _as_given(self) -> AbstractContextManager[None]:
        """Gives what is computed a gradient where the states have one, wherever it is asked for."""
        return torch.set_grad_enabled(self.states.requires_grad)

    def split(self, tokens: Sequence[int]) -> list[Projected]:
        """Splits into parts of so many tokens each, in order."""
        return [replace(self, states=part) for part in self.states.split(list(tokens))]

    @staticmethod
    def join(parts: Sequence[Projected]) -> Projected:
        """Joins parts of one head."""
        return replace(parts[0], states=torch.cat([part.states for part in parts]))


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
