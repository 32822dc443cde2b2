"""Draws settings from a prior: one entry of a recipe becomes a given number of runs.

Every method can so be given the same number of settings from ranges that were stated beforehand,
wider than where its best one is expected. Each range is cut into as many parts as there are
settings, and every part is drawn from once (a Latin hypercube, McKay et al. 1979), so that few
settings still reach both ends.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Significant digits of a drawn number: a recipe shows it as a person would write it.
_DIGITS = 2


def draws(entry: Mapping[str, Any], places: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Draws values for places of an entry, evenly in the logarithm between two ends.

    The draw is a function of the entry's method and modality and of the place, so that an entry
    that is added, or moved, changes no other.

    Args:
        entry: Entry of a recipe, without its `draw`.
        places: Ranges `{low, high}` or lists of values, by place.
        count: Number of settings.

    Raises:
        ValueError: A range has no two positive ends in order, or a list is empty.
    """
    name = f"{entry.get('method')}/{entry.get('model')}/{entry.get('modality')}"
    columns = {place: _column(f"{name}/{place}", prior, count) for place, prior in places.items()}
    return [{place: values[k] for place, values in columns.items()} for k in range(count)]


def _column(seed: str, prior: Any, count: int) -> list[Any]:
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    shares = (rng.permutation(count) + rng.random(count)) / count
    if isinstance(prior, list) and prior:
        return [prior[int(share * len(prior))] for share in shares]
    low, high = _ends(prior)
    drawn = (low * (high / low) ** share for share in shares.tolist())
    return [float(f"{value:.{_DIGITS}g}") for value in drawn]


def _ends(prior: Any) -> tuple[float, float]:
    ends = [prior.get(name) for name in ("low", "high")] if isinstance(prior, Mapping) else []
    numbers = [float(end) for end in ends if isinstance(end, int | float)]
    if len(numbers) != 2 or len(prior) != 2 or not 0 < numbers[0] < numbers[1] < math.inf:
        raise ValueError(f"a prior is {{low: A, high: B}} with 0 < A < B, or a list; not {prior}")
    return numbers[0], numbers[1]
