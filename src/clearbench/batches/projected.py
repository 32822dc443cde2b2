"""Computes log-probabilities of answer tokens from hidden states, without all logits at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from clearbench.libraries import functional, torch

if TYPE_CHECKING:
    from torch import Tensor


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
        from clearbench.batches.chunks import log_probs

        with self._as_given():
            return log_probs(self.states, self.weight, self.bias, targets)

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
