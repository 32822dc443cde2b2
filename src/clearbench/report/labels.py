"""Places the names of points so that they overlap neither a point nor each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from clearbench.report.svg import INK

#: Name, place of its point, and its colour.
Point = tuple[str, float, float, str]


def label_points(axes: Axes, points: Sequence[Point]) -> None:
    """Writes each name near its point where it touches neither a point nor another name."""
    spots = [axes.transData.transform((x, y)) for _, x, y, _ in points]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in spots]
    for (name, x, y, colour), spot in zip(points, spots, strict=True):
        width, height = 6.0 * len(name) + 2, 11.0
        box = _free_box(axes.bbox, taken, spot, width, height)
        taken.append(box)
        left, middle = axes.transData.inverted().transform((box.x0, (box.y0 + box.y1) / 2))
        axes.text(left, middle, name, va="center", ha="left", color=INK, zorder=4)
        if _gap(box, spot) > 15:
            near = (min(max(spot[0], box.x0), box.x1), box.y0 if box.y0 > spot[1] else box.y1)
            end = axes.transData.inverted().transform(near)
            axes.plot([x, end[0]], [y, end[1]], color=colour, lw=0.6, zorder=2)


def _gap(box: Bbox, spot: NDArray[np.float64]) -> float:
    across = max(box.x0 - spot[0], 0.0, spot[0] - box.x1)
    up = max(box.y0 - spot[1], 0.0, spot[1] - box.y1)
    return float(np.hypot(across, up))


def _free_box(
    frame: Bbox, taken: Sequence[Bbox], spot: NDArray[np.float64], width: float, height: float
) -> Bbox:
    """Finds the first free place around a spot, from near to far; else the least overlapping."""
    options = [_box_at(spot, way, far, width, height) for far in range(10, 90, 8) for way in _WAYS]
    inside = [box for box in options if _within(box, frame)] or options
    return min(inside, key=lambda box: sum(_overlap(box, other) for other in taken))


_WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (0.8, -0.8), (-0.8, 0.8), (-0.8, -0.8))


def _box_at(
    spot: NDArray[np.float64], way: tuple[float, float], far: float, width: float, height: float
) -> Bbox:
    x, y = spot[0] + way[0] * far, spot[1] + way[1] * far
    left = x if way[0] > 0 else x - width if way[0] < 0 else x - width / 2
    return Bbox.from_bounds(left, y - height / 2, width, height)


def _within(box: Bbox, frame: Bbox) -> bool:
    return bool(box.x0 > frame.x0 and box.x1 < frame.x1 and box.y0 > frame.y0 and box.y1 < frame.y1)


def _overlap(first: Bbox, second: Bbox) -> float:
    across = min(first.x1, second.x1) - max(first.x0, second.x0)
    up = min(first.y1, second.y1) - max(first.y0, second.y0)
    return float(across * up) if across > 0 and up > 0 else 0.0
