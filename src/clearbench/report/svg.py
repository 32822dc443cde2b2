"""Writes figures as inline SVG: equal input gives equal bytes, and the page sets the colours."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Colours that the page replaces by its own, so that figures follow light and dark.
INK, MUTED, LINE, SOFT = "#010101", "#020202", "#030303", "#040404"
_THEME = {INK: "--ink", MUTED: "--muted", LINE: "--line", SOFT: "--soft"}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
}


def new_axes(width: float, height: float, margins: tuple[float, float, float, float]) -> Axes:
    """Makes the axes of a figure.

    Args:
        width: Width of the figure in hundredths of an inch.
        height: Height of the figure in hundredths of an inch.
        margins: Left, bottom, right and top.
    """
    left, bottom, right, top = margins
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.patch.set_alpha(0)
    axes = figure.add_axes(
        (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    )
    axes.patch.set_alpha(0)
    axes.tick_params(length=3, width=0.8)
    return axes


def finish(axes: Axes, name: str) -> str:
    """Writes the figure as an SVG element without metadata or fixed size.

    Args:
        axes: Axes of the figure.
        name: Name that makes the ids inside the element unique in the page.
    """
    figure = axes.figure
    if not isinstance(figure, Figure):
        raise TypeError("sub-figures are not drawn here")
    return _svg(figure, name)


def _svg(figure: Figure, name: str) -> str:
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(font: [^\'";]*?)\'DejaVu Sans\'[^;"]*', r"\1system-ui, sans-serif", text)
    text = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1">', text, flags=re.S)
    for placeholder, name in _THEME.items():
        text = text.replace(placeholder, f"var({name})")
    return re.sub(r"\n\s*", "\n", text).strip()
