"""Computes the colours of a face: skin, lips, cheeks, the shade of shaved or cropped hair."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from clearbench.people.mesh import Floats, base_mesh, data_folder
from clearbench.people.person import Appearance, Heritage
from clearbench.people.surface import scalp, smoothstep, surface

_TONES: dict[Heritage, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "african": ((0.075, 0.039, 0.024), (0.25, 0.13, 0.076)),
    "east_asian": ((0.50, 0.315, 0.20), (0.68, 0.47, 0.335)),
    "european": ((0.60, 0.36, 0.255), (0.76, 0.53, 0.42)),
    "latin_american": ((0.33, 0.175, 0.10), (0.56, 0.34, 0.215)),
    "middle_eastern": ((0.38, 0.22, 0.13), (0.60, 0.385, 0.265)),
    "south_asian": ((0.15, 0.078, 0.044), (0.38, 0.215, 0.125)),
}
_HAIR = {
    "black": (0.010, 0.008, 0.007),
    "brown": (0.085, 0.038, 0.018),
    "blond": (0.55, 0.34, 0.12),
    "red": (0.36, 0.075, 0.018),
    "grey": (0.52, 0.52, 0.53),
}
_EYES = ((0.05, 0.022, 0.01), (0.09, 0.045, 0.018), (0.10, 0.20, 0.36), (0.10, 0.17, 0.08))


def skin_tone(appearance: Appearance) -> Floats:
    """Computes the skin colour of a person, in linear light."""
    rng = np.random.default_rng((appearance.seed, 11))
    dark, light = (np.array(tone) for tone in _TONES[appearance.heritage])
    share = rng.uniform()
    return np.asarray((dark * (1 - share) + light * share) * rng.uniform(0.94, 1.06, 3))


def hair_tone(appearance: Appearance) -> Floats:
    """Computes the hair colour of a person, in linear light."""
    return np.array(_HAIR[appearance.hair_colour])


def eye_tone(appearance: Appearance) -> Floats:
    """Computes the colour of the iris; other than brown only where that is common."""
    rng = np.random.default_rng((appearance.seed, 12))
    light_eyes = appearance.heritage == "european"
    return np.array(_EYES[int(rng.integers(len(_EYES) if light_eyes else 2))])


def natural_tone(appearance: Appearance) -> Floats:
    """Computes the colour of brows: between the hair and a dark brown."""
    return np.asarray(0.55 * hair_tone(appearance) + 0.45 * np.array((0.02, 0.011, 0.008)))


@functools.cache
def lips() -> Floats:
    """Computes the share, by vertex of the surface, of belonging to the lips."""
    mesh = base_mesh()
    with Image.open(data_folder() / "textures" / "mpfb_lips.jpg") as image:
        mask = np.asarray(image.convert("L"), dtype=np.float64) / 255
    uv = np.zeros((len(mesh.vertices), 2))
    uv[mesh.faces["body"].ravel()] = mesh.uvs[mesh.uv_faces["body"].ravel()]
    height, width = mask.shape
    rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return np.asarray(mask[rows, columns][surface().sources].mean(axis=1))


def brow_arch(x: Floats) -> Floats:
    """Computes the middle of the brow above the undeformed body's eye, at |x|."""
    return np.asarray(np.interp(x, (0.14, 0.4, 0.62), (0.305, 0.315, 0.23)))


def brows(rest: Floats, thickness: float) -> Floats:
    """Computes the share, by point, of belonging to an eyebrow."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1] - 7.284, rest[:, 2]
    across = np.exp(-(((y - brow_arch(x)) / thickness) ** 2))
    ends = smoothstep(0.09, 0.16, x) * (1 - smoothstep(0.52, 0.66, x))
    return np.asarray(across * ends * (z > 0.9))


def beard(rest: Floats) -> Floats:
    """Computes the share, by point, of belonging to the beard and moustache."""
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    top = np.interp(x, (0.0, 0.22, 0.32, 0.5, 0.72, 0.9), (6.93, 6.93, 6.86, 6.72, 6.9, 7.2))
    edge = smoothstep(-0.04, 0.07, top - y) * smoothstep(6.15, 6.35, y) * smoothstep(0.42, 0.6, z)
    return np.asarray(edge)


def _spot(rest: Floats, x: float, y: float, size: float) -> Floats:
    """Computes a soft round patch on both halves of the face."""
    distance = ((np.abs(rest[:, 0]) - x) ** 2 + (rest[:, 1] - y) ** 2) / size**2
    return np.asarray(np.exp(-distance) * (rest[:, 2] > 0.7))


def _blend(colours: Floats, weight: Floats, colour: Floats) -> Floats:
    return np.asarray(colours * (1 - weight[:, None]) + weight[:, None] * colour)


def _flesh(rest: Floats, tone: Floats) -> Floats:
    """Colours bare skin with redder cheeks, nose and ears, and darker eye sockets."""
    red = tone * np.array((1.02, 0.74, 0.72))
    shade = tone * np.array((0.78, 0.68, 0.68))
    colours = np.tile(tone, (len(rest), 1))
    colours = _blend(colours, 0.7 * _spot(rest, 0.42, 6.98, 0.24), red)
    colours = _blend(colours, 0.6 * _spot(rest, 0.0, 7.0, 0.14), red)
    colours = _blend(colours, 0.45 * _spot(rest, 0.31, 7.22, 0.19), shade)
    return _blend(colours, np.where(surface().ears, 0.5, 0.0), red)


def _lip_tone(tone: Floats, female: bool, rng: np.random.Generator) -> Floats:
    if not female:
        return np.asarray(tone * (0.86, 0.5, 0.5))
    bare, painted = tone * np.array((0.85, 0.36, 0.37)), np.array((0.42, 0.055, 0.06))
    return np.asarray(bare + (painted - bare) * rng.uniform(0.15, 0.7))


def _shaved(rest: Floats, style: str, female: bool) -> Floats:
    """Computes the share of the hair's colour on the scalp between and below the hair."""
    height, head = scalp(rest), ~surface().ears
    if style != "bald":
        strength = 0.85 if style == "cropped" else 0.93
        return np.asarray(smoothstep(-0.02, 0.16, height) * strength * head)
    ring = smoothstep(0.0, 0.15, height) * (1 - smoothstep(7.5, 7.9, rest[:, 1]))
    return np.asarray((0.0 if female else 0.22) * ring * head)


def skin_colours(appearance: Appearance) -> Floats:
    """Computes colours of the vertices of the surface, in linear light."""
    rest, tone, hair = surface().rest, skin_tone(appearance), hair_tone(appearance)
    rng = np.random.default_rng((appearance.seed, 13))
    female = appearance.gender == "female"
    colours = _flesh(rest, tone)
    colours = _blend(colours, 0.95 * lips(), _lip_tone(tone, female, rng))
    thickness = rng.uniform(0.028, 0.038) if female else rng.uniform(0.04, 0.054)
    colours = _blend(colours, 0.62 * brows(rest, thickness), natural_tone(appearance))
    if female:
        liner = _spot(rest, 0.32, 7.37, 0.13) * smoothstep(7.27, 7.33, rest[:, 1])
        colours = _blend(colours, 0.4 * liner, tone * 0.45)
    bald = appearance.hair_style == "bald"
    shaved = _shaved(rest, appearance.hair_style, female)
    colours = _blend(colours, shaved, hair if bald else hair * 0.7)
    if not female:
        strength = 0.8 if appearance.beard else rng.uniform(0.03, 0.16)
        colours = _blend(colours, strength * beard(rest) * (1 - lips()), hair * 0.8)
    mottled = 1 + 0.012 * rng.standard_normal((len(rest), 1))
    return np.asarray(np.clip(colours * mottled, 0.002, 0.95))
