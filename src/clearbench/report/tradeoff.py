"""Draws forgetting against keeping, one point per run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from clearbench.report.labels import label_points
from clearbench.report.rows import TableRow
from clearbench.report.svg import GOLD, LINE, SOFT, STYLE, finish, new_axes

_MARKERS = "osD^vPXph<"
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
    with mpl.rc_context(STYLE):
        axes = new_axes(460, 340, (46, 42, 14, 12))
        points = [(row, *_place(row)) for row in rows if row.distance is not None and _keeps(row)]
        _tradeoff_frame(axes, [x for _, x, _ in points], [y for *_, y in points])
        if null_distance is not None:
            axes.axvspan(0, null_distance, color=GOLD, alpha=0.25, lw=0)
        for row, x, y in points:
            axes.plot([x], [y], **_mark(row, palette), clip_on=False, zorder=3)
        label_points(axes, [(row.name, x, y, palette[row.run.method]) for row, x, y in points])
        return finish(axes, "tradeoff " + " ".join(row.run.id for row in rows))


def _keeps(row: TableRow) -> list[float]:
    kept = row.verdict.kept if row.verdict else {}
    return [ratio for key, ratio in kept.items() if key.startswith("retain.")]


def _place(row: TableRow) -> tuple[float, float]:
    return min(row.distance or 0.0, _FARTHEST), min(_keeps(row))


def _mark(row: TableRow, palette: dict[str, str]) -> dict[str, Any]:
    colour = palette[row.run.method]
    marker = {"gold": "*", "original": "s"}.get(row.run.method)
    if marker is None:
        marker = _MARKERS[list(palette).index(row.run.method) % len(_MARKERS)]
    faded = row.kind == "method" and row.outcome != "forgot"
    return {
        "marker": marker,
        "markersize": 13 if marker == "*" else 7.5,
        "markerfacecolor": "none" if faded else colour,
        "markeredgecolor": colour,
        "markeredgewidth": 1.4,
        "linestyle": "none",
    }


def _tradeoff_frame(axes: Axes, xs: list[float], ys: list[float]) -> None:
    top, bottom = max([1.05, *ys]) + 0.03, min([0.76, *ys])
    axes.set_xlim(-0.06, max([1.12, *(x + 0.12 for x in xs)]))
    axes.set_ylim(bottom - 0.04, top)
    axes.axhspan(0.8, top, xmax=(0.5 + 0.06) / (axes.get_xlim()[1] + 0.06), color=SOFT, lw=0)
    axes.axhline(0.8, color=LINE, lw=0.9, dashes=(4, 3))
    axes.set_xlabel("distance to gold   (0 = never knew,  1 = nothing forgotten)")
    axes.set_ylabel("kept about the others")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
