"""Draws images of coloured shapes for simple visual questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from clearbench.people.phrases import pick

SIZE = 96
_SCALE = 4

Point = tuple[float, float]
Colour = tuple[int, int, int]

COLOURS: Mapping[str, Colour] = {
    "red": (206, 38, 38),
    "blue": (34, 70, 200),
    "green": (30, 140, 60),
    "yellow": (244, 208, 32),
    "purple": (128, 44, 160),
    "black": (20, 20, 24),
}
_GROUNDS: tuple[Colour, ...] = (
    (214, 202, 184),
    (196, 208, 216),
    (226, 226, 222),
    (206, 214, 196),
    (216, 198, 204),
)


def _polygon(centre: Point, radii: Sequence[float], turn: float) -> list[Point]:
    """Computes corners at equal angles around the centre, one for every radius."""
    angles = [turn + 2 * math.pi * corner / len(radii) for corner in range(len(radii))]
    return [
        (centre[0] + radius * math.sin(angle), centre[1] - radius * math.cos(angle))
        for radius, angle in zip(radii, angles, strict=True)
    ]


_OUTLINES: Mapping[str, Callable[[Point, float], list[Point]]] = {
    "circle": lambda centre, radius: _polygon(centre, [radius] * 72, 0),
    "square": lambda centre, radius: _polygon(centre, [radius * 1.1] * 4, math.pi / 4),
    "triangle": lambda centre, radius: _polygon(centre, [radius * 1.15] * 3, 0),
    "star": lambda centre, radius: _polygon(centre, [radius * 1.15, radius * 0.48] * 5, 0),
}
SHAPES: tuple[str, ...] = tuple(_OUTLINES)


def draw_shapes(
    rng: Generator, shape: str, colour: str, centres: Sequence[Point], radius: float
) -> Image.Image:
    """Draws the same shape at every centre of one image.

    Args:
        rng: Generator for the background and small shifts.
        shape: One of `SHAPES`.
        colour: One of `COLOURS`.
        centres: Centres of the shapes, in shares of the image's side.
        radius: Radius of the shapes, in shares of the image's side.
    """
    image = _ground(rng).resize((SIZE * _SCALE, SIZE * _SCALE), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(image)
    for x, y in centres:
        centre = _pixels(x + rng.uniform(-0.04, 0.04)), _pixels(y + rng.uniform(-0.04, 0.04))
        outline = _OUTLINES[shape](centre, _pixels(radius * rng.uniform(0.85, 1.1)))
        pen.polygon(outline, fill=COLOURS[colour])
    return image.resize((SIZE, SIZE), Image.Resampling.BOX)


def _pixels(share: float) -> float:
    return share * SIZE * _SCALE


def _ground(rng: Generator) -> Image.Image:
    """Draws a pale background: plain, striped or grainy."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    period = 6 + int(rng.random() * 8)
    textures = (
        np.zeros((SIZE, SIZE)),
        14.0 * ((rows + columns) // period % 2),
        14.0 * (columns // period % 2),
        rng.normal(0.0, 9.0, (SIZE, SIZE)),
    )
    shade = pick(rng, textures)
    pixels = np.array(pick(rng, _GROUNDS)) - shade[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
