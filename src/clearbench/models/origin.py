"""Remembers where a model's weights were loaded from, for as long as they stay what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from weakref import ref

from torch import Tensor


@dataclass(frozen=True)
class Origin:
    """Place of a model's weights, which adapters that are trained on them can name as their base.

    Attributes:
        place: Folder, file or hub id.
        held: Every weight, and how often it had been changed in place when it was loaded.
    """

    place: str
    held: tuple[tuple[ref[Tensor], int], ...]

    @classmethod
    def of(cls, place: str, module: Any) -> Self:
        """Notes the weights of a module that was loaded from a place."""
        return cls(place, tuple((ref(weight), weight._version) for weight in module.parameters()))

    def holds(self, module: Any) -> bool:
        """Whether a module has these weights, and they were not changed since."""
        weights = list(module.parameters())
        return len(weights) == len(self.held) and all(
            version == weight._version and known() is weight
            for (known, version), weight in zip(self.held, weights, strict=True)
        )
