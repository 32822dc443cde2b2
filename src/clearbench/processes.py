"""Finds the processes of one launch, and sums or gathers their tensors."""

from __future__ import annotations

import os

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor
from torch.distributed.tensor import DTensor


def processes() -> PartialState:
    """Returns the processes of `accelerate launch` or `torchrun`; one where neither was used."""
    started = "LOCAL_RANK" in os.environ
    return PartialState(cpu=started and not torch.cuda.is_available())


def summed(part: Tensor) -> Tensor:
    """Sums a tensor over processes; a sharded gradient is a sum already."""
    if isinstance(part, DTensor):
        return part
    total: Tensor = reduce(part, "sum")
    return total


def whole(values: Tensor) -> Tensor:
    """Gathers a sharded tensor, so every process must call it; returns others as they are."""
    return values.full_tensor() if isinstance(values, DTensor) else values
