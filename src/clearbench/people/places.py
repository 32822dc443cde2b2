"""Paints the backgrounds of portraits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from clearbench.people.person import View

Rng = np.random.Generator
Colour = tuple[int, int, int]
_SCALE = 3


def _colour(rng: Rng, base: Colour, spread: int = 12) -> Colour:
    red, green, blue = (int(np.clip(c + rng.integers(-spread, spread + 1), 0, 255)) for c in base)
    return red, green, blue


def _spot(rng: Rng, size: int, top: int, bottom: int) -> tuple[int, int]:
    return int(rng.integers(0, size)), int(rng.integers(top, bottom))


def _fade(size: int, top: Colour, bottom: Colour) -> Image.Image:
    share = np.linspace(0, 1, size)[:, None, None]
    rows = np.array(top) * (1 - share) + np.array(bottom) * share
    return Image.fromarray(np.broadcast_to(rows, (size, size, 3)).astype(np.uint8).copy())


def _library(size: int, rng: Rng) -> Image.Image:
    image = _fade(size, (70, 44, 26), (52, 32, 19))
    draw = ImageDraw.Draw(image)
    spines: tuple[Colour, ...] = (
        (150, 40, 36),
        (38, 74, 122),
        (46, 104, 66),
        (196, 160, 84),
        (104, 62, 40),
        (214, 204, 182),
    )
    shelf, board = size // 4, size // 28
    top = -int(rng.integers(0, shelf))
    while top < size:
        left = 0
        while left < size:
            width = int(rng.integers(size // 24, size // 12))
            height = int(shelf * rng.uniform(0.68, 0.9))
            box = (left, top + shelf - height, left + width - 2, top + shelf - board)
            draw.rectangle(box, fill=_colour(rng, spines[int(rng.integers(len(spines)))], 16))
            left += width
        draw.rectangle((0, top + shelf - board, size, top + shelf), fill=(122, 80, 46))
        top += shelf
    return image


def _garden(size: int, rng: Rng) -> Image.Image:
    horizon = int(size * rng.uniform(0.28, 0.4))
    image = _fade(size, (140, 196, 240), (206, 230, 244))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, horizon, size, size), fill=(70, 140, 52))
    for _ in range(26):
        x, y = _spot(rng, size, horizon + -size // 14, horizon + size // 8)
        r = int(rng.integers(size // 16, size // 8))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(rng, (48, 112, 44), 22))
    petals: tuple[Colour, ...] = ((226, 62, 96), (246, 214, 70), (244, 240, 244), (180, 92, 200))
    for _ in range(70):
        x, y = _spot(rng, size, horizon, size)
        r = int(rng.integers(size // 50, size // 26))
        fill = _colour(rng, petals[int(rng.integers(len(petals)))])
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    return image


def _seaside(size: int, rng: Rng) -> Image.Image:
    horizon, shore = int(size * rng.uniform(0.36, 0.46)), int(size * rng.uniform(0.62, 0.72))
    image = _fade(size, (120, 184, 236), (232, 242, 248))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, horizon, size, size), fill=_colour(rng, (22, 104, 156)))
    for y in range(horizon, shore, max(2, size // 40)):
        draw.line((0, y, size, y), fill=_colour(rng, (60, 146, 190), 16), width=2)
    sand = _colour(rng, (232, 208, 156), 8)
    tilt = int(rng.integers(-size // 16, size // 16))
    draw.polygon(((0, shore), (size, shore + tilt), (size, size), (0, size)), fill=sand)
    draw.line((0, shore, size, shore + tilt), fill=(250, 250, 250), width=size // 36)
    x, width = int(rng.integers(0, size)), size // 10
    draw.polygon(((x, horizon), (x + width, horizon), (x, horizon - width)), fill=(250, 250, 250))
    return image


def _street(size: int, rng: Rng) -> Image.Image:
    image = _fade(size, (30, 36, 66), (84, 82, 104))
    draw = ImageDraw.Draw(image)
    left = -int(rng.integers(0, size // 6))
    while left < size:
        width = int(rng.integers(size // 3, size // 2))
        top = int(rng.integers(-size // 8, size // 7))
        wall = _colour(rng, (96, 74, 72), 20)
        draw.rectangle((left, top, left + width - size // 40, size), fill=wall)
        step = size // 9
        for y in range(top + step // 2, int(size * 0.85), step):
            for x in range(left + step // 3, left + width - step, int(step * 0.9)):
                lit = rng.uniform() < 0.65
                fill = _colour(rng, (255, 214, 110), 18) if lit else (40, 44, 60)
                draw.rectangle((x, y, x + step // 2, y + int(step * 0.62)), fill=fill)
        left += width
    draw.rectangle((0, int(size * 0.9), size, size), fill=(66, 66, 72))
    return image


def _studio(size: int, rng: Rng) -> Image.Image:
    walls: tuple[Colour, ...] = ((196, 198, 202), (208, 200, 190), (184, 194, 206))
    wall = np.array(walls[int(rng.integers(len(walls)))], dtype=np.float64)
    y, x = np.mgrid[0:size, 0:size] / size
    centre = rng.uniform(0.3, 0.7)
    glow = np.exp(-((x - centre) ** 2 + (y - 0.4) ** 2) / 0.35)[:, :, None]
    return Image.fromarray(np.clip(wall * (0.62 + 0.5 * glow), 0, 255).astype(np.uint8))


def _stage(size: int, rng: Rng) -> Image.Image:
    y, x = np.mgrid[0:size, 0:size] / size
    phase, folds = rng.uniform(0, 6.3), rng.uniform(5, 8)
    fold = 0.55 + 0.45 * np.sin(2 * np.pi * folds * x + phase + 0.3 * np.sin(5 * x + 2 * y))
    centre = rng.uniform(0.25, 0.75)
    spot = np.exp(-((x - centre) ** 2 + (y - 0.35) ** 2) / 0.12)
    light = (0.25 + 0.75 * fold) * (0.4 + 1.1 * spot)
    rows = light[:, :, None] * np.array((150, 14, 22)) + spot[:, :, None] * np.array((46, 22, 10))
    return Image.fromarray(np.clip(rows, 0, 255).astype(np.uint8))


_PLACES: dict[str, Callable[[int, Rng], Image.Image]] = {
    "library": _library,
    "garden": _garden,
    "seaside": _seaside,
    "street": _street,
    "studio": _studio,
    "stage": _stage,
}


def paint_place(view: View, size: int) -> Image.Image:
    """Paints the background of a portrait, slightly out of focus; it varies with `view.seed`."""
    rng = np.random.default_rng((view.seed, 41))
    image = _PLACES[view.place](size * _SCALE, rng)
    image = image.filter(ImageFilter.GaussianBlur(size * _SCALE / 160))
    return image.resize((size, size), Image.Resampling.LANCZOS)
