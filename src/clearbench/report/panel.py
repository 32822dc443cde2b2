"""Draws the figures of a page as SVG: axes with a few ticks, and lines and marks within them.

A page has one or more for every run. Matplotlib takes 60 ms and 20 kB for a small one, and a second
to be loaded; this takes less than 1 ms and 4 kB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

#: Style of axes, and of the numbers beside them.
_AXES = "fill:none;stroke:var(--line);stroke-width:.8"
_NUMBERS = "font-size:7.5px;fill:var(--muted)"
#: Length of a tick, distance of its number, and what puts a number's middle on its line.
_TICK, _AWAY, _HALF = 3, 6.5, 2.8
#: Parts of a step's power of ten: the distances between ticks.
_STEPS = (1, 2, 2.5, 5, 10)
#: Points of a pixel in which places are written.
_PARTS = 10
Range = tuple[float, float]
#: Places of ticks with the texts beside them.
Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Panel:
    """A figure; places are numbers of the data.

    Attributes:
        size: Width and height in pixels.
        margins: Left, bottom, right and top, in pixels.
        x: Smallest and largest number across.
        y: Smallest and largest number upwards.
        names: What is across and upwards, in words.
        aslant: True if the numbers below are words, which are written aslant.
        parts: Lines and marks drawn so far, which end at the axes.
        over: What is drawn over them, up to the edge of the figure.
    """

    size: tuple[float, float]
    margins: tuple[float, float, float, float]
    x: Range
    y: Range
    names: tuple[str, str] = ("", "")
    aslant: bool = False
    parts: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)

    @property
    def _frame(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of what is within the axes."""
        left, bottom, right, top = self.margins
        return left, top, self.size[0] - left - right, self.size[1] - bottom - top

    def line(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Draws a line through points.

        Args:
            points: Numbers across and upwards.
            style: Style in CSS.
        """
        path = self._path([self._place(x, y) for x, y in points])
        if path:
            self.parts.append(f'<path style="fill:none;{style}" d="{path}"/>')

    def steps(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """Draws a line that rises at each point and is level between them."""
        before = [points[0][1], *(y for _, y in points)]
        pairs = zip(points, before, strict=False)
        self.line([(x, level) for (x, y), last in pairs for level in (last, y)], style)

    def dots(self, points: Iterable[tuple[float, float]], colour: str) -> None:
        """Draws a small dot at each point."""
        places = [(x / _PARTS, y / _PARTS) for x, y in (self._place(*point) for point in points)]
        circles = (f'<circle cx="{x:g}" cy="{y:g}" r="1.5"/>' for x, y in places)
        self.parts.append(f'<g style="fill:{colour}">{"".join(circles)}</g>')

    def band(self, x: Range, y: Range, style: str) -> None:
        """Fills a rectangle."""
        left, bottom = (value / _PARTS for value in self._place(x[0], y[0]))
        right, top = (value / _PARTS for value in self._place(x[1], y[1]))
        path = f"M{left:g} {bottom:g}H{right:g}V{top:g}H{left:g}z"
        self.parts.append(f'<path style="{style}" d="{path}"/>')

    def mark(self, x: float, y: float, shape: Sequence[tuple[float, float]], style: str) -> None:
        """Draws a closed shape around a point, over everything, also beyond the axes.

        Args:
            x: Number across.
            y: Number upwards.
            shape: Corners in pixels from the point, right and down.
            style: Style in CSS.
        """
        across, down = self.spot(x, y)
        corners = " ".join(f"{across + right:.4g},{down + below:.4g}" for right, below in shape)
        self.over.append(f'<polygon style="{style}" points="{corners}"/>')

    def words(self, across: float, down: float, text: str) -> None:
        """Writes a text that begins at a place in pixels."""
        self.over.append(
            f'<text style="font-size:8px;fill:var(--ink)" x="{across:.4g}" y="{down + _HALF:.4g}">'
            f"{escape(text)}</text>"
        )

    def link(self, first: tuple[float, float], second: tuple[float, float], colour: str) -> None:
        """Draws a thin line between two places in pixels."""
        path = f"M{first[0]:.4g} {first[1]:.4g}L{second[0]:.4g} {second[1]:.4g}"
        self.over.append(f'<path style="stroke:{colour};stroke-width:.6" d="{path}"/>')

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """Computes where a point is in the figure, in pixels from its top left."""
        left, top, _, _ = self._frame
        across, down = self._place(x, y)
        return left + across / _PARTS, top + down / _PARTS

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the axes, in pixels."""
        left, top, width, height = self._frame
        return left, top, left + width, top + height

    def cross(self, x: float, y: float, style: str) -> None:
        """Draws a cross at a point."""
        across, down = (value / _PARTS for value in self._place(x, y))
        path = f"M{across - 3:g} {down - 3:g}l6 6m0-6l-6 6"
        self.parts.append(f'<path style="fill:none;{style}" d="{path}"/>')

    def svg(self, across: Ticks, upwards: Ticks) -> str:
        """Writes the figure.

        Args:
            across: Ticks below.
            upwards: Ticks on the left.
        """
        left, top, width, height = self._frame
        axes = [f"M{left:g} {top:g}v{height:g}h{width:g}"]
        axes += [f"M{self.spot(value, 0)[0]:.4g} {top + height:g}v{_TICK}" for value, _ in across]
        axes += [f"M{left:g} {self.spot(0, value)[1]:.4g}h-{_TICK}" for value, _ in upwards]
        return (
            f'<svg viewBox="0 0 {self.size[0]:g} {self.size[1]:g}" stroke-linejoin="round">'
            f'<path style="{_AXES}" d="{"".join(axes)}"/>'
            f'<svg x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}">'
            f"{''.join(self.parts)}</svg>"
            f'<g style="{_NUMBERS}">{"".join(self._texts(across, upwards))}</g>'
            f"{''.join(self.over)}</svg>"
        )

    def _texts(self, across: Ticks, upwards: Ticks) -> Iterator[str]:
        """Yields the texts beside the axes."""
        left, top, width, height = self._frame
        for value, text in across:
            place, down = self.spot(value, 0)[0], top + height + (9 if self.aslant else 12)
            turned = f' transform="rotate(-30 {place:.4g} {down:g})"' if self.aslant else ""
            anchor = "end" if self.aslant else "middle"
            yield _text(place, down, anchor, text, turned)
        for value, text in upwards:
            yield _text(left - _AWAY, self.spot(0, value)[1] + _HALF, "end", text)
        below, beside = self.names
        if below:
            yield _text(left + width / 2, self.size[1] - 3, "middle", below)
        if beside:
            middle = top + height / 2
            yield _text(8, middle, "middle", beside, f' transform="rotate(-90 8 {middle:.4g})"')

    def _place(self, x: float, y: float) -> tuple[int, int]:
        """Computes where a point lies within the axes, from their top left, in parts of a pixel."""
        _, _, width, height = self._frame
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _whole(across * width), _whole((1 - up) * height)

    def _path(self, places: Sequence[tuple[int, int]]) -> str:
        """Writes a path by the moves from place to place; what is no move is left out."""
        if not places:
            return ""
        (x, y), words = places[0], []
        words.append(f"M{_number(x)} {_number(y)}")
        for across, down in places[1:]:
            right, below = across - x, down - y
            if right and below:
                words.append(f"l{_number(right)} {_number(below)}")
            elif right:
                words.append(f"h{_number(right)}")
            elif below:
                words.append(f"v{_number(below)}")
            x, y = across, down
        return "".join(words)


def _whole(pixels: float) -> int:
    """Rounds a place to parts of a pixel; what lies far outside stays a little outside."""
    return round(min(max(pixels, -50.0), 1000.0) * _PARTS)


def _number(parts: int) -> str:
    """Writes parts of a pixel as pixels: 25 as 2.5, 5 as .5."""
    sign, (whole, rest) = "-" if parts < 0 else "", divmod(abs(parts), _PARTS)
    return f"{sign}{whole or ''}.{rest}" if rest else f"{sign}{whole}"


def _text(across: float, down: float, anchor: str, text: str, turned: str = "") -> str:
    place = f'x="{across:.4g}" y="{down:.4g}" text-anchor="{anchor}"{turned}'
    return f"<text {place}>{escape(text)}</text>"


def wider(numbers: Sequence[float], share: float) -> Range:
    """Computes a range with room on both sides of numbers, which is not empty.

    Args:
        numbers: Numbers to show.
        share: Room on each side, as a share of their spread.
    """
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    room = share * (high - low) or 0.05 * (abs(low) or 1.0)
    return low - room, high + room


def round_places(within: Range, most: int, *, whole: bool = False) -> list[float]:
    """Lists round numbers at equal distances within a range.

    Args:
        within: Smallest and largest number.
        most: Number of distances at most.
        whole: True for whole numbers alone.
    """
    low, high = within
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [part * power * ten for ten in (1, 10) for part in _STEPS]
    step = next(
        s for s in steps if s * most >= high - low and not (whole and (s < 1 or s != round(s)))
    )
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def even_ticks(places: Iterable[float], within: Range) -> Ticks:
    """Writes ticks with as many decimals as the finest needs; those outside are left out."""
    low, high = within
    inside = [place for place in places if low <= place <= high]
    decimals = max((len(f"{place:.6g}".partition(".")[2]) for place in inside), default=0)
    if any("e" in f"{place:.6g}" for place in inside):
        return [(place, f"{place:g}") for place in inside]
    return [(place, f"{place:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for place in inside]
