"""Holds the logits and targets of every answer token of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from clearbench.batches.items import Item
from clearbench.batches.projected import Projected
from clearbench.libraries import functional, torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Answers:
    """Logits and targets of every answer token in a batch; a label counts as one token.

    Attributes:
        logits_or_states: Logits before the softmax, (tokens, vocabulary), or the `Projected` states
            that `logits` computes them from.
        targets: Token of the answer, or label, (tokens,).
        rows: Index of the row that each token belongs to, (tokens,).
        items: Items of the rows; `len(items)` is the number of rows.
        margin: Number subtracted from the target's logit in teaching, for an additive-margin head.
    """

    logits_or_states: Tensor | Projected
    targets: Tensor
    rows: Tensor
    items: tuple[Item, ...]
    margin: float = 0.0

    @property
    def logits(self) -> Tensor:
        """Logits before the softmax, (tokens, vocabulary), computed once where states are held.

        A loss on log-probabilities alone does not ask for them, and saves their memory.
        """
        held = self.logits_or_states
        return held.logits if isinstance(held, Projected) else held

    def with_logits(self, logits: Tensor) -> Answers:
        """Returns the same answers with other logits, (tokens, vocabulary)."""
        return replace(self, logits_or_states=logits)

    @property
    def log_probs(self) -> Tensor:
        """Log-probability of each target, (tokens,)."""
        if self._unread_states is not None:
            return self._projected if torch.is_grad_enabled() else self._projected.detach()
        return -functional.cross_entropy(self.logits, self.targets, reduction="none")

    @property
    def _unread_states(self) -> Projected | None:
        """Hidden states whose logits nothing has asked for."""
        held = self.logits_or_states
        return held if isinstance(held, Projected) and not held.is_read else None

    @cached_property
    def _projected(self) -> Tensor:
        """Log-probabilities from hidden states, (tokens,), which are computed once."""
        assert isinstance(self.logits_or_states, Projected)  # noqa: S101 - asked of states alone
        return self.logits_or_states.log_probs(self.targets)

    @property
    def ordinals(self) -> Tensor:
        """Position of each token in its answer, from 0, (tokens,); tokens are in order."""
        sizes = torch.zeros(len(self.items), dtype=torch.long, device=self.rows.device)
        sizes.index_add_(0, self.rows, torch.ones_like(self.rows))
        begins = sizes.cumsum(0) - sizes
        return torch.arange(len(self.rows), device=self.rows.device) - begins[self.rows]

    @property
    def losses(self) -> Tensor:
        """Negative log-probability of each target, its logit lowered by the margin, (tokens,)."""
        if self._unread_states is not None and not self.margin:
            return -self.log_probs
        lowered = self.logits
        if self.margin:
            places = torch.arange(len(self.targets), device=self.targets.device)
            cut = torch.full_like(self.targets, -self.margin, dtype=self.logits.dtype)
            lowered = self.logits.index_put((places, self.targets), cut, accumulate=True)
        return functional.cross_entropy(lowered, self.targets, reduction="none")

    def per_row(self, values: Tensor) -> Tensor:
        """Sums per-token values by row, (rows,)."""
        return values.new_zeros(len(self.items)).index_add(0, self.rows, values)

    def split(self, sizes: Sequence[int], tokens: Sequence[int]) -> list[Answers]:
        """Splits into parts of so many items and tokens each, in order; undoes `join`."""
        firsts = [sum(sizes[:k]) for k in range(len(sizes))]
        held = self._unread_states or self.logits
        columns = (each.split(list(tokens)) for each in (held, self.targets, self.rows))
        return [
            Answers(part, targets, rows - first, self.items[first : first + size], self.margin)
            for part, targets, rows, first, size in zip(*columns, firsts, sizes, strict=True)
        ]

    @staticmethod
    def join(parts: Sequence[Answers]) -> Answers:
        """Joins several batches into one."""
        if len(parts) == 1:
            return parts[0]
        shifts = [sum(len(part.items) for part in parts[:k]) for k in range(len(parts))]
        unread = [states for part in parts if (states := part._unread_states) is not None]
        whole = len(unread) == len(parts)
        held = Projected.join(unread) if whole else torch.cat([part.logits for part in parts])
        return Answers(
            held,
            torch.cat([part.targets for part in parts]),
            torch.cat([part.rows + shift for part, shift in zip(parts, shifts, strict=True)]),
            tuple(item for part in parts for item in part.items),
            parts[0].margin,
        )
