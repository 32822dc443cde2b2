"""Draws small figures as SVG: axes with a few ticks, and lines within them.

A page has one or more for every run. Matplotlib takes 60 ms and 20 kB for such a figure; this takes
less than 1 ms and 4 kB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Style of axes, and of the numbers beside them.
_AXES = "fill:none;stroke:var(--line);stroke-width:.8"
_NUMBERS = "font-size:7.5px;fill:var(--muted)"
#: Length of a tick, distance of its number, and what puts a number's middle on its line.
_TICK, _AWAY, _HALF = 3, 6.5, 2.8
#: Points of a pixel in which places are written.
_PARTS = 10
Range = tuple[float, float]
#: Places of ticks with the texts beside them.
Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Panel:
    """A small figure; places are numbers of the data.

    Attributes:
        size: Width and height in pixels.
        margins: Left, bottom, right and top, in pixels.
        x: Smallest and largest number across.
        y: Smallest and largest number upwards.
        parts: Lines drawn so far.
    """

    size: tuple[float, float]
    margins: tuple[float, float, float, float]
    x: Range
    y: Range
    parts: list[str] = field(default_factory=list)

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
        bottom, axes, numbers = top + height, [], []
        for value, text in across:
            place = left + self._place(value, self.y[0])[0] / _PARTS
            axes.append(f"M{place:.4g} {bottom:g}v{_TICK}")
            numbers.append(f'<text x="{place:.4g}" y="{bottom + 12:g}">{text}</text>')
        beside = left - _AWAY
        for value, text in upwards:
            place = top + self._place(self.x[0], value)[1] / _PARTS
            axes.append(f"M{left:g} {place:.4g}h-{_TICK}")
            numbers.append(
                f'<text x="{beside:g}" y="{place + _HALF:.4g}" text-anchor="end">{text}</text>'
            )
        axes.append(f"M{left:g} {top:g}v{height:g}h{width:g}")
        return (
            f'<svg viewBox="0 0 {self.size[0]:g} {self.size[1]:g}" stroke-linejoin="round">'
            f'<path style="{_AXES}" d="{"".join(axes)}"/>'
            f'<g text-anchor="middle" style="{_NUMBERS}">{"".join(numbers)}</g>'
            f'<svg x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}">'
            f"{''.join(self.parts)}</svg></svg>"
        )

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


def even_ticks(places: Iterable[float], within: Range) -> Ticks:
    """Writes ticks with as many decimals as the finest needs; those outside are left out."""
    low, high = within
    inside = [place for place in places if low <= place <= high]
    decimals = max((len(f"{place:.6g}".partition(".")[2]) for place in inside), default=0)
    if any("e" in f"{place:.6g}" for place in inside):
        return [(place, f"{place:g}") for place in inside]
    return [(place, f"{place:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for place in inside]
