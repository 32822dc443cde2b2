"""Expands a grid: one entry of a recipe becomes a run per combination of settings."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

#: Parts of an entry that a grid may vary.
VARIED = ("hyperparameters", "train")


def expand(entry: Any) -> Iterator[Any]:
    """Yields a run's entry for every combination of its `grid`, or the entry itself without one.

    `grid` maps a place in the entry (`train.learning_rate`) to the values tried there; the last
    place varies fastest.

    Raises:
        ValueError: The grid is no mapping of such places to lists with entries.
    """
    if not isinstance(entry, Mapping) or "grid" not in entry:
        yield entry
        return
    grid = entry["grid"]
    if not isinstance(grid, Mapping):
        raise ValueError("a grid is a mapping, such as {train.learning_rate: [1.0e-4, 1.0e-3]}")
    for place, values in grid.items():
        part, _, key = str(place).partition(".")
        if part not in VARIED or not key or "." in key:
            places = " or ".join(f"{name}.NAME" for name in VARIED)
            raise ValueError(f"a grid cannot vary '{place}'; write {places}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"the grid's '{place}' is a list of the values to try")
    for values in product(*grid.values()):
        run = copy.deepcopy({key: value for key, value in entry.items() if key != "grid"})
        for place, value in zip(grid, values, strict=True):
            part, _, key = place.partition(".")
            settings = run.setdefault(part, {})
            if isinstance(settings, dict):  # other types are reported by the check of the entry
                settings[key] = value
        yield run
