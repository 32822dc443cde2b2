"""Settings tried side by side: one entry of a recipe that stands for many runs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

#: What a grid may vary.
VARIED = ("hyperparameters", "train")


def expand(entry: Any) -> Iterator[Any]:
    """A run's entry for every combination of its `grid`, or the entry itself where it has none.

    `grid` maps a place in the entry (`train.learning_rate`) to the values tried there; the last
    place varies fastest.

    Raises:
        ValueError: Where a grid is no mapping of such places to lists with something in them.
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
            places = " or ".join(f"{each}.NAME" for each in VARIED)
            raise ValueError(f"a grid cannot vary '{place}'; write {places}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"the grid's '{place}' is a list of the values to try")
    for values in product(*grid.values()):
        one = copy.deepcopy({key: value for key, value in entry.items() if key != "grid"})
        for place, value in zip(grid, values, strict=True):
            part, _, key = place.partition(".")
            settings = one.setdefault(part, {})
            if isinstance(settings, dict):  # what is not is said when the entry is checked
                settings[key] = value
        yield one
