"""Reads the values of steps from the device, many steps at once where reading makes it wait.

A GPU works through a queue; the host that asks for a loss waits until the queue is empty, in every
step. So the values stay on the device for some steps. A step whose loss or gradient is not finite
must change nothing all the same: a flag on the device switches its update off, and that of every
step after it, until the host has read it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clearbench.training.checkpoint import History
from clearbench.training.watch import Diverged

#: Steps between two readings on a device that has a queue.
STEPS = 16
#: Parts of each term's value, whose sum it is.
Parts = Mapping[str, Sequence[Tensor]]


class StepValues(Mapping[str, float]):
    """The values of one step, which are read when they are looked at.

    Args:
        values: Values by name, kept as `written`; empty until they are read.
        read: Function that reads them.
    """

    def __init__(self, values: dict[str, float], read: Callable[[], None]) -> None:
        self.written, self._read = values, read

    def __getitem__(self, name: str) -> float:
        self._read()
        return self.written[name]

    def __iter__(self) -> Iterator[str]:
        self._read()
        return iter(self.written)

    def __len__(self) -> int:
        self._read()
        return len(self.written)


@dataclass(frozen=True)
class _Unread:
    """Values of one step that are still on the device.

    Attributes:
        number: Number of the step, from 0.
        names: Name of the term of each value; the last value is the gradient's norm.
        tensors: Values, () each.
        values: Mapping that they are written to.
    """

    number: int
    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    values: dict[str, float]


class Readings:
    """Takes the values of each step, and raises where one is not finite.

    Args:
        history: Values of each step before.
        device: Device of the values.
        sharded: True where weights are sharded, whose update no flag can switch off.
    """

    def __init__(self, history: History, device: torch.device, *, sharded: bool = False) -> None:
        self._history = history
        self._waiting: list[_Unread] = []
        self._every = 1 if device.type == "cpu" or sharded else STEPS
        #: 1 from the first step on that is not finite, (); None where every step is read.
        self.broken = torch.zeros((), device=device) if self._every > 1 else None

    def add(self, parts: Parts, norm: Tensor) -> StepValues:
        """Takes a step's values, before its update; reads them if it is time.

        Raises:
            Diverged: One of the values that were read is not finite.
        """
        names = tuple(name for name, values in parts.items() for _ in values)
        tensors = tuple(v.detach().reshape(()) for values in parts.values() for v in values)
        unread = _Unread(len(self._history), names, (*tensors, norm.detach()), {})
        self._waiting.append(unread)
        if self.broken is not None:
            finite = torch.stack([value.float() for value in unread.tensors]).isfinite().all()
            self.broken = torch.maximum(self.broken, (~finite).float())
        if len(self._waiting) >= self._every:
            self.read()
        return StepValues(unread.values, self.read)

    def read(self) -> None:
        """Reads all values that are on the device: the host waits for it once.

        Raises:
            Diverged: One of them is not finite.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        exact = torch.double if self.broken is None else torch.float32  # which every device has
        together = torch.stack([value.to(exact) for each in waiting for value in each.tensors])
        numbers = iter(together.tolist())
        for step in waiting:
            for name in step.names:
                step.values[name] = step.values.get(name, 0.0) + next(numbers)
            norm = next(numbers)
            loss = sum(step.values.values())
            step.values.update({"loss": loss, "gradient_norm": norm})
            if not all(map(math.isfinite, step.values.values())):
                raise Diverged(step.values, self._history[: step.number])
