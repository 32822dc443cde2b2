"""Tests which short cuts of forward passes are exact, and records the outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

#: Largest difference of a short cut from the plain forward pass, in units of float32 rounding of
#: the largest value. Sums in another order differ by up to 200 (30 layers of SmolLM2's shape with
#: logits of 13), a wrong mask by more than 10,000 (GPT-Neo's window).
SELF_TEST_UNITS = 1024


@dataclass
class Shortcuts:
    """Outcomes of the self-tests of one model, by the medium of the rows.

    They belong to the model object that read the rows: another one of the same base is tested
    again, so that no result depends on what a process did before.

    Attributes:
        head_only: True if logits on answer tokens alone, without a padding mask, are exact.
        shared: True if answers that share a row are read exactly.
        own_decoding: True if our decoding, which drops rows that have ended, equals `generate`.
        early: True if hidden states below the top stay the same without the layers above.
        longest: Number of tokens of the longest shared row that was tested.
    """

    head_only: dict[str, bool] = field(default_factory=dict)
    shared: dict[str, bool] = field(default_factory=dict)
    own_decoding: dict[str, bool] = field(default_factory=dict)
    early: dict[str, bool] = field(default_factory=dict)
    longest: dict[str, int] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, dict[str, bool]]:
        """Whether each short cut is exact, by name and by the media it was tested on."""
        found = asdict(self)
        del found["longest"]
        return found


@torch.no_grad()
def agrees(shortcut: Callable[[], Tensor], plain: Tensor) -> bool:
    """Whether a short cut gives what the plain forward pass gave, up to rounding in float32.

    Numbers of lower precision do not agree so closely: such models take the plain path.
    """
    try:
        allowed = SELF_TEST_UNITS * torch.finfo(torch.float32).eps * plain.abs().max()
        return bool((shortcut() - plain).abs().max() <= allowed)
    except Exception:  # an architecture may refuse a mask or positions with any error
        return False
