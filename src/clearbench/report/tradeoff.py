"""Draws forgetting against keeping, one point per run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clearbench.report.colours import GOLD
from clearbench.report.labels import label_points
from clearbench.report.panel import Panel, even_ticks, round_places
from clearbench.report.rows import TableRow

#: Corners around a point, right and down, of a mark with a radius of 1.
Shape = tuple[tuple[float, float], ...]
_AXES = ("distance to gold   (0 = never knew,  1 = nothing forgotten)", "kept about the others")
#: Distance to gold beyond which runs are drawn at the edge.
_FARTHEST = 1.6


def tradeoff(
    rows: Sequence[TableRow], palette: dict[str, str], null_distance: float | None = None
) -> str:
    """Draws forgetting against keeping: gold's distance across, the retain people's scores up.

    Args:
        rows: Main table of one group.
        palette: Colour of every method.
        null_distance: Distance of gold to another gold; None with one gold.
    """
    points = [(row, *_place(row)) for row in rows if row.distance is not None and _keeps(row)]
    xs, ys = [x for _, x, _ in points], [y for *_, y in points]
    top, bottom = max([1.05, *ys]) + 0.03, min([0.76, *ys]) - 0.04
    across, upwards = (-0.06, max([1.12, *(x + 0.12 for x in xs)])), (bottom, top)
    panel = Panel((331, 245), (38, 30, 10, 9), across, upwards, _AXES)
    panel.band((-0.06, 0.5), (0.8, top), "fill:var(--soft)")
    panel.line([(-1, 0.8), (9, 0.8)], "stroke:var(--line);stroke-width:.9;stroke-dasharray:3.6 2.7")
    if null_distance is not None:
        panel.band((0, null_distance), (bottom, top), f"fill:{GOLD};opacity:.25")
    for row, x, y in points:
        _draw(panel, row, x, y, palette)
    label_points(panel, [(row.name, x, y, palette[row.run.method]) for row, x, y in points])
    percents = [(place, f"{place:.0%}") for place in round_places(upwards, 6)]
    return panel.svg(even_ticks(round_places(across, 6), across), percents)


def _keeps(row: TableRow) -> list[float]:
    kept = row.verdict.kept if row.verdict else {}
    return [ratio for key, ratio in kept.items() if key.startswith("retain.")]


def _place(row: TableRow) -> tuple[float, float]:
    return min(row.distance or 0.0, _FARTHEST), min(_keeps(row))


def _draw(panel: Panel, row: TableRow, x: float, y: float, palette: dict[str, str]) -> None:
    """Draws the mark of a run, hollow where it did not forget."""
    colour, size = palette[row.run.method], 3.75
    if row.run.method == "gold":
        shape, size = _star(5), 6.5
    elif row.run.method == "original":
        shape = _polygon(4, math.pi / 4)
    else:
        shape = _SHAPES[list(palette).index(row.run.method) % len(_SHAPES)]
    fill = "none" if row.kind == "method" and row.outcome != "forgot" else colour
    style = f"fill:{fill};stroke:{colour};stroke-width:1.4"
    panel.mark(x, y, [(size * right, size * below) for right, below in shape], style)


def _polygon(corners: int, turned: float = 0.0) -> Shape:
    """A regular polygon; the first corner is at the top, unless it is turned."""
    angles = [2 * math.pi * k / corners + turned for k in range(corners)]
    return tuple((math.sin(angle), -math.cos(angle)) for angle in angles)


def _star(rays: int, inner: float = 0.4, turned: float = 0.0) -> Shape:
    """A star; every second corner lies nearer to the middle."""
    corners = _polygon(2 * rays, turned)
    return tuple(
        (x * share, y * share) for (x, y), share in zip(corners, (1.0, inner) * rays, strict=True)
    )


#: Marks of methods, in the order of the palette.
_SHAPES: tuple[Shape, ...] = (
    *(_polygon(24), _polygon(4, math.pi / 4), _polygon(4), _polygon(3, math.pi), _polygon(3)),
    *(_star(4, 0.45), _star(4, 0.45, math.pi / 4), _polygon(5), _polygon(6)),
    _polygon(3, -math.pi / 2),
)
