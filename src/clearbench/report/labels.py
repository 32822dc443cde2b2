"""Places the names of points so that they overlap neither a point nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from clearbench.report.svg import INK

#: Name, place of its point, and its colour.
Point = tuple[str, float, float, str]
#: Numbers in pixels: places (..., 2), or boxes (..., 4) with left, bottom, right and top.
Pixels = NDArray[np.float64]
#: Ways from a point to the middle of its name's near side, and distances in pixels.
_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (0.8, -0.8), (-0.8, 0.8), (-0.8, -0.8))
_FAR = range(10, 90, 8)


def label_points(axes: Axes, points: Sequence[Point]) -> None:
    """Writes each name near its point where it touches neither a point nor another name."""
    spots = [axes.transData.transform((x, y)) for _, x, y, _ in points]
    taken = [np.array([x - 6, y - 6, x + 6, y + 6]) for x, y in spots]
    frame = np.asarray(axes.bbox.extents)
    for (name, x, y, colour), spot in zip(points, spots, strict=True):
        box = _free_box(frame, np.array(taken), spot, 6.0 * len(name) + 2, 11.0)
        taken.append(box)
        left, bottom, right, top = box
        start, middle = axes.transData.inverted().transform((left, (bottom + top) / 2))
        axes.text(start, middle, name, va="center", ha="left", color=INK, zorder=4)
        if _gap(box, spot) > 15:
            near = (min(max(spot[0], left), right), bottom if bottom > spot[1] else top)
            end = axes.transData.inverted().transform(near)
            axes.plot([x, end[0]], [y, end[1]], color=colour, lw=0.6, zorder=2)


def _gap(box: Pixels, spot: Pixels) -> float:
    across, up = np.maximum(0.0, np.maximum(box[:2] - spot, spot - box[2:]))
    return float(np.hypot(across, up))


def _free_box(frame: Pixels, taken: Pixels, spot: Pixels, width: float, height: float) -> Pixels:
    """Finds the first free place around a spot, from near to far; else the least overlapping."""
    options = np.array([_box_at(spot, way, far, width, height) for far in _FAR for way in _WAYS])
    fits = (options[:, :2] > frame[:2]).all(axis=1) & (options[:, 2:] < frame[2:]).all(axis=1)
    inside: Pixels = options[fits] if fits.any() else options
    least: Pixels = inside[_overlaps(inside, taken).sum(axis=1).argmin()]
    return least


def _box_at(
    spot: Pixels, way: tuple[float, float], far: float, width: float, height: float
) -> tuple[float, float, float, float]:
    x, y = spot[0] + way[0] * far, spot[1] + way[1] * far
    left = x if way[0] > 0 else x - width if way[0] < 0 else x - width / 2
    return left, y - height / 2, left + width, y + height / 2


def _overlaps(first: Pixels, second: Pixels) -> Pixels:
    """Computes the areas that every two boxes share, (first, second)."""
    ours, other = first[:, None], second[None]
    shared = np.minimum(ours[..., 2:], other[..., 2:]) - np.maximum(ours[..., :2], other[..., :2])
    areas: Pixels = np.maximum(shared, 0.0).prod(axis=-1)
    return areas
