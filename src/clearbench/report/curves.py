"""Draws truth ratios as distributions and training as losses by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from clearbench.report.groups import Group
from clearbench.report.svg import LINE, MUTED, STYLE, finish, new_axes
from clearbench.runs.schema import AnyRow, Details, Row

Numbers = NDArray[np.float64]


def ks_note(details: Details, group: Group, run: AnyRow, track: str) -> str:
    """Writes the Kolmogorov-Smirnov distance of a run's and of another gold's ratios to gold's."""
    aim = details.ratios(group.gold.id, track) if group.gold else []
    others = (details.ratios(row.id, track) for row in (run, *group.golds[1:]))
    distances = [_ks(ratios, aim) for ratios in others if ratios and aim]
    golds = f", golds {max(distances[1:]):.2f}" if distances[1:] else ""
    return f"KS {distances[0]:.2f}{golds}" if distances else ""


def _ks(first: Sequence[float], second: Sequence[float]) -> float:
    """Computes the largest distance between two empirical distributions."""
    ours, other = np.sort(first), np.sort(second)
    every = np.concatenate([ours, other])
    shares = [np.searchsorted(part, every, side="right") / len(part) for part in (ours, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def truth_curves(
    details: Details, group: Group, run: AnyRow, track: str, palette: dict[str, str]
) -> str | None:
    """Draws the distributions of a run's, gold's and the original's truth ratios.

    Returns:
        Figure, or None where the run or gold has no truth ratios on this track.
    """
    drawn = [*group.anchors, run]
    ratios = {row.id: details.ratios(row.id, track) for row in drawn}
    if group.gold is None or not ratios[run.id] or not ratios[group.gold.id]:
        return None
    with mpl.rc_context(STYLE):
        axes = new_axes(204, 146, (26, 24, 6, 8))
        _log_frame(axes, [value for values in ratios.values() for value in values])
        for row in drawn:
            second = row.method == "gold" and row is not group.gold
            _draw_steps(axes, ratios[row.id], row, palette, 0.4 if second else 1.0)
        return finish(axes, f"truth {group.key} {run.id} {track}")


def _draw_steps(
    axes: Axes, ratios: Sequence[float], run: AnyRow, palette: dict[str, str], alpha: float
) -> None:
    if not ratios:
        return
    x = np.sort(np.maximum(ratios, 1e-4))
    style = {"gold": "-", "original": (0, (4, 2))}.get(run.method, "-")
    y = np.arange(1, len(x) + 1) / len(x)
    axes.step(
        [1e-5, *x, 1e5],
        [0, *y, 1],
        where="post",
        color=palette[run.method],
        lw=1.7,
        linestyle=style,
        alpha=alpha,
    )


def _log_frame(axes: Axes, values: Sequence[float]) -> None:
    low, high = np.quantile(np.maximum(values, 1e-4), (0.01, 0.99))
    axes.set_xscale("log")
    axes.set_xlim(min(low, 0.5) / 1.25, max(high, 2.0) * 1.25)
    axes.set_ylim(-0.02, 1.04)
    ticks = [0.001, 0.01, 0.1, 0.3, 1, 3, 10, 100, 1000]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.axvline(1, color=LINE, lw=0.8)


def training_curve(run: Row | None, palette: dict[str, str]) -> str | None:
    """Draws losses on forgotten and retained rows by step; a cross ends a diverged run."""
    if run is None or not run.curve:
        return None
    with mpl.rc_context(STYLE):
        axes = new_axes(204, 136, (32, 24, 6, 8))
        forget = _curve((point.step, point.value("forget")) for point in run.curve)
        retain = _curve((point.step, point.value("retain")) for point in run.curve)
        axes.plot(*retain, color=MUTED, lw=1.2, dashes=(3, 2))
        axes.plot(*forget, color=palette[run.method], lw=1.8)
        if run.status == "diverged" and len(forget[0]):
            axes.plot(forget[0][-1:], forget[1][-1:], "x", color=palette[run.method], ms=8, mew=2)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.margins(y=0.12)
        return finish(axes, f"training {run.id}")


def _curve(points: Iterable[tuple[int, float | None]]) -> tuple[Numbers, Numbers]:
    known = [(step, value) for step, value in points if value is not None]
    x, y = zip(*known, strict=True) if known else ((), ())
    return np.asarray(x, float), np.asarray(y, float)
