"""Places the names of points so that they overlap neither a point nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clearbench.report.panel import Panel

#: Name, place of its point, and its colour.
Point = tuple[str, float, float, str]
#: Numbers in pixels: places (..., 2), or boxes (..., 4) with left, top, right and bottom.
Pixels = NDArray[np.float64]
#: Ways from a point to the middle of its name's near side, and distances in pixels.
_WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.8, -0.8), (0.8, 0.8), (-0.8, -0.8), (-0.8, 0.8))
_FAR = range(7, 65, 6)
#: Width of a letter, height of a name, half a point, and the gap from which a line leads to it.
_LETTER, _HEIGHT, _POINT, _NEAR = 4.3, 8.0, 4.3, 11.0


def label_points(panel: Panel, points: Sequence[Point]) -> None:
    """Writes each name near its point where it touches neither a point nor another name."""
    spots = [np.array(panel.spot(x, y)) for _, x, y, _ in points]
    taken = [np.concatenate([spot - _POINT, spot + _POINT]) for spot in spots]
    frame = np.array(panel.box)
    for (name, _, _, colour), spot in zip(points, spots, strict=True):
        box = _free_box(frame, np.array(taken), spot, _LETTER * len(name) + 1.4)
        taken.append(box)
        left, top, right, bottom = box.tolist()
        panel.words(left, (top + bottom) / 2, name)
        if _gap(box, spot) > _NEAR:
            x, y = spot.tolist()
            near = (min(max(x, left), right), top if top > y else bottom)
            panel.link((x, y), near, colour)


def _gap(box: Pixels, spot: Pixels) -> float:
    across, up = np.maximum(0.0, np.maximum(box[:2] - spot, spot - box[2:]))
    return float(np.hypot(across, up))


def _free_box(frame: Pixels, taken: Pixels, spot: Pixels, width: float) -> Pixels:
    """Finds the first free place around a spot, from near to far; else the least overlapping."""
    options = np.array([_box_at(spot, way, far, width) for far in _FAR for way in _WAYS])
    fits = (options[:, :2] > frame[:2]).all(axis=1) & (options[:, 2:] < frame[2:]).all(axis=1)
    inside: Pixels = options[fits] if fits.any() else options
    least: Pixels = inside[_overlaps(inside, taken).sum(axis=1).argmin()]
    return least


def _box_at(
    spot: Pixels, way: tuple[float, float], far: float, width: float
) -> tuple[float, float, float, float]:
    x, y = spot[0] + way[0] * far, spot[1] + way[1] * far
    left = x if way[0] > 0 else x - width if way[0] < 0 else x - width / 2
    return left, y - _HEIGHT / 2, left + width, y + _HEIGHT / 2


def _overlaps(first: Pixels, second: Pixels) -> Pixels:
    """Computes the areas that every two boxes share, (first, second)."""
    ours, other = first[:, None], second[None]
    shared = np.minimum(ours[..., 2:], other[..., 2:]) - np.maximum(ours[..., :2], other[..., :2])
    areas: Pixels = np.maximum(shared, 0.0).prod(axis=-1)
    return areas
