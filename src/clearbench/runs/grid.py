"""Expands a grid or a draw: one entry of a recipe becomes a run per setting."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from clearbench.runs.draw import draws

#: Parts of an entry that a grid or a draw may vary.
VARIED = ("hyperparameters", "train")


def expand(entry: Any) -> Iterator[Any]:
    """Yields a run's entry for every setting of its `grid` or `draw`, or the entry itself.

    `grid` maps a place in the entry (`train.learning_rate`) to the values tried there, of which
    every combination is a run; the last place varies fastest. `draw` gives a number of `settings`
    that are drawn `from` a range or a list of values for each place (`runs.draw`).

    Raises:
        ValueError: It is no mapping of such places to values, or both are given.
    """
    if not isinstance(entry, Mapping) or not {"grid", "draw"} & entry.keys():
        yield entry
        return
    if {"grid", "draw"} <= entry.keys():
        raise ValueError("an entry has a grid or a draw, not both")
    plain = {key: value for key, value in entry.items() if key not in ("grid", "draw")}
    for settings in _grid(entry["grid"]) if "grid" in entry else _draw(plain, entry["draw"]):
        run = copy.deepcopy(plain)
        for place, value in settings.items():
            part, _, key = place.partition(".")
            chosen = run.setdefault(part, {})
            if isinstance(chosen, dict):  # other types are reported by the check of the entry
                chosen[key] = value
        yield run


def _grid(grid: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(grid, Mapping):
        raise ValueError("a grid is a mapping, such as {train.learning_rate: [1.0e-4, 1.0e-3]}")
    _check_places(grid, "grid")
    for place, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"the grid's '{place}' is a list of the values to try")
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _draw(entry: Mapping[str, Any], draw: Any) -> list[dict[str, Any]]:
    example = "{settings: 8, from: {train.learning_rate: {low: 1.0e-4, high: 1.0e-2}}}"
    if not isinstance(draw, Mapping) or {*draw} != {"settings", "from"}:
        raise ValueError(f"a draw is such as {example}")
    count, prior = draw["settings"], draw["from"]
    if type(count) is not int or count < 1 or not isinstance(prior, Mapping):
        raise ValueError(f"a draw has a number of settings and a mapping, such as {example}")
    _check_places(prior, "draw")
    return draws(entry, prior, count)


def _check_places(places: Mapping[str, Any], what: str) -> None:
    for place in places:
        part, _, key = str(place).partition(".")
        if part not in VARIED or not key or "." in key:
            known = " or ".join(f"{name}.NAME" for name in VARIED)
            raise ValueError(f"a {what} cannot vary '{place}'; write {known}")
