"""Finds the processes of one launch, and sums or gathers their tensors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clearbench.libraries import torch

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor


def processes() -> PartialState:
    """Returns the processes of `accelerate launch` or `torchrun`; one where neither was used."""
    from accelerate import PartialState

    started = "LOCAL_RANK" in os.environ
    return PartialState(cpu=started and not torch.cuda.is_available())


def summed(part: Tensor) -> Tensor:
    """Sums a tensor over processes; a sharded gradient is a sum already."""
    from accelerate.utils import reduce
    from torch.distributed.tensor import DTensor

    if isinstance(part, DTensor):
        return part
    total: Tensor = reduce(part, "sum")
    return total


def whole(values: Tensor) -> Tensor:
    """Gathers a sharded tensor, so every process must call it; returns others as they are."""
    from torch.distributed.tensor import DTensor

    return values.full_tensor() if isinstance(values, DTensor) else values
