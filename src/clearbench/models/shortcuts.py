"""Short cuts of forward passes, each taken only where a self-test finds it exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

#: A short cut must agree with the plain forward pass to this (absolute, on logits).
SELF_TEST_TOLERANCE = 1e-4


@dataclass
class Shortcuts:
    """Results of self-tests of an architecture, by the medium of the rows.

    Attributes:
        head_only: Logits on answer tokens alone, without a padding mask, are exact.
        shared: Answers that share a row are read exactly.
        own_decoding: Our decoding, which drops rows that have ended, gives what `generate` gives.
        early: Hidden states below the top do not change when the layers above are left out.
    """

    head_only: dict[str, bool] = field(default_factory=dict)
    shared: dict[str, bool] = field(default_factory=dict)
    own_decoding: dict[str, bool] = field(default_factory=dict)
    early: dict[str, bool] = field(default_factory=dict)


@torch.no_grad()
def agrees(shortcut: Callable[[], Tensor], plain: Tensor) -> bool:
    """Whether a short cut gives what the plain forward pass gave."""
    try:
        return bool((shortcut() - plain).abs().max() < SELF_TEST_TOLERANCE)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False  # an architecture that does not take such a mask or such positions
