"""Draws truth ratios as distributions and training as losses by step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from clearbench.report.groups import Group
from clearbench.report.panel import Panel, Range, even_ticks, round_places, wider
from clearbench.runs.schema import AnyRow, Details, Row

#: Truth ratios at which there may be a tick.
_RATIOS = (0.001, 0.01, 0.1, 0.3, 1, 3, 10, 100, 1000)
#: Smallest truth ratio that is told from less.
_LEAST = 1e-4


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
    low, high = _ratio_range([value for values in ratios.values() for value in values])
    logs = (math.log10(low), math.log10(high))
    panel = Panel((147, 105), (18.7, 17.3, 4.3, 5.8), logs, (-0.02, 1.04))
    panel.line([(0, -1), (0, 2)], "stroke:var(--line);stroke-width:.8")
    for row in drawn:
        second = row.method == "gold" and row is not group.gold
        faded = ";opacity:.4" if second else ""
        dashes = ";stroke-dasharray:6.8 3.4" if row.method == "original" else ""
        colour = f"stroke:{palette[row.method]};stroke-width:1.7"
        _draw_steps(panel, ratios[row.id], f"{colour}{dashes}{faded}")
    ticks = [(math.log10(each), f"{each:g}") for each in _RATIOS if low <= each <= high]
    return panel.svg(ticks, even_ticks([0, 0.5, 1], panel.y))


def _draw_steps(panel: Panel, ratios: Sequence[float], style: str) -> None:
    if ratios:
        places = np.log10(np.sort(np.maximum(ratios, _LEAST))).tolist()
        rises = [((k + 1) / len(places)) for k in range(len(places))]
        ends = ((-5.0, 0.0), (5.0, 1.0))
        panel.steps([ends[0], *zip(places, rises, strict=True), ends[1]], style)


def _ratio_range(values: Sequence[float]) -> Range:
    low, high = np.quantile(np.maximum(values, _LEAST), (0.01, 0.99))
    return float(min(low, 0.5)) / 1.25, float(max(high, 2.0)) * 1.25


def training_curve(run: Row | None, palette: dict[str, str]) -> str | None:
    """Draws losses on forgotten and retained rows by step; a cross ends a diverged run."""
    if run is None or not run.curve:
        return None
    forget = _curve((point.step, point.value("forget")) for point in run.curve)
    retain = _curve((point.step, point.value("retain")) for point in run.curve)
    steps, losses = ([point[place] for point in (*forget, *retain)] for place in (0, 1))
    panel = Panel((147, 98), (23, 17.3, 4.5, 5.8), wider(steps, 0.05), wider(losses, 0.12))
    panel.line(retain, "stroke:var(--muted);stroke-width:1.2;stroke-dasharray:3.6 2.4")
    colour = f"stroke:{palette[run.method]}"
    panel.line(forget, f"{colour};stroke-width:1.8")
    if run.status == "diverged" and forget:
        panel.cross(*forget[-1], f"{colour};stroke-width:2")
    across = round_places(panel.x, 4, whole=True)
    upwards = round_places(panel.y, 4)
    return panel.svg(even_ticks(across, panel.x), even_ticks(upwards, panel.y))


def _curve(points: Iterable[tuple[int, float | None]]) -> list[tuple[float, float]]:
    return [(step, value) for step, value in points if value is not None]
