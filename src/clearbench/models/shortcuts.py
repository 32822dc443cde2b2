"""Records which short cuts of forward passes a self-test found exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

#: Largest difference of logits between a short cut and the plain forward pass.
SELF_TEST_TOLERANCE = 1e-4


@dataclass
class Shortcuts:
    """Results of self-tests of an architecture, by the medium of the rows.

    Attributes:
        head_only: True if logits on answer tokens alone, without a padding mask, are exact.
        shared: True if answers that share a row are read exactly.
        own_decoding: True if our decoding, which drops rows that have ended, equals `generate`.
        early: True if hidden states below the top stay the same without the layers above.
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
