"""Draws the numbers of an audit as bars with intervals, and attacks as curves over their levels."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from clearbench.audit.schema import AttackCurve, Number
from clearbench.evaluation.score import Score
from clearbench.report.colours import GOLD, ORIGINAL, PALETTE
from clearbench.report.svg import INK, LINE, MUTED, STYLE, finish, new_axes

#: Numbers that a figure shows at most: those of the strongest attacks come first.
MOST = 12
_ROW, _MODEL = 24, PALETTE[0]


def bars(numbers: Sequence[Number], name: str) -> str | None:
    """Draws a bar per number with its interval, and marks of gold and of the original.

    Args:
        numbers: Numbers, the first at the top.
        name: Name that makes the ids inside the figure unique in the page.
    """
    shown = numbers[:MOST]
    if not shown:
        return None
    with mpl.rc_context(STYLE):
        axes = new_axes(620, 30 + _ROW * len(shown), (250, 22, 16, 6))
        for place, number in enumerate(reversed(shown)):
            _bar(axes, place, number)
        axes.set_yticks(range(len(shown)), [_short(number.name) for number in reversed(shown)])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        ends = [value for number in shown for value in _values(number)]
        axes.set_xlim(min(0.0, *ends) - 0.02, max(1.0, *ends) + 0.02)
        axes.axvline(0, color=LINE, lw=0.8)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        return finish(axes, f"bars {name}")


def _bar(axes: Axes, place: int, number: Number) -> None:
    axes.barh(place, number.value, height=0.42, color=_MODEL, alpha=0.85)
    if number.low is not None and number.high is not None:
        axes.plot([number.low, number.high], [place, place], color=INK, lw=1.6)
    for value, colour in zip(_marks(number), (GOLD, ORIGINAL), strict=True):
        if value is not None:
            axes.plot([value, value], [place - 0.36, place + 0.36], color=colour, lw=2.4)


def _marks(number: Number) -> tuple[float | None, float | None]:
    """Returns where gold and the original lie on the scale of a number."""
    if number.scale == "place":
        return 0.0, 1.0
    return (number.gold, number.original) if number.scale == "value" else (None, None)


def _values(number: Number) -> list[float]:
    every = (number.value, number.low, number.high, *_marks(number))
    return [value for value in every if value is not None]


def _short(name: str) -> str:
    return name if len(name) <= 44 else name[:43] + "…"


def curve(drawn: AttackCurve) -> str | None:
    """Draws what is known at each level of an attack, of all models; None with one level alone."""
    if len(drawn.points) < 2:
        return None
    with mpl.rc_context(STYLE):
        axes = new_axes(300, 190, (34, 46, 10, 8))
        places = range(len(drawn.points))
        for name, colour, style in (
            ("original", ORIGINAL, (0, (4, 2))),
            ("gold", GOLD, "-"),
            ("value", _MODEL, "-"),
        ):
            _line(axes, [getattr(point, name) for point in drawn.points], colour, style)
        labels = [_short(point.level) for point in drawn.points]
        turned = any(len(label) > 6 for label in labels)
        axes.set_xticks(
            list(places), labels, rotation=30 if turned else 0, ha="right" if turned else "center"
        )
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.tick_params(axis="x", labelcolor=MUTED)
        return finish(axes, f"curve {drawn.key} {drawn.track}")


def _line(axes: Axes, scores: Sequence[Score | None], colour: str, style: object) -> None:
    known = [(place, score) for place, score in enumerate(scores) if score is not None]
    if not known:
        return
    places = [place for place, _ in known]
    axes.plot(
        places,
        [score.value for _, score in known],
        color=colour,
        lw=1.8,
        ls=style,
        marker="o",
        ms=3,
    )
    for place, score in known:
        if score.low is not None and score.high is not None:
            axes.plot([place, place], [score.low, score.high], color=colour, lw=1.0, alpha=0.6)
