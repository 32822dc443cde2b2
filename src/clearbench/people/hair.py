"""Builds hair, brows and beards as strands that follow the head."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from clearbench.people.mesh import Floats
from clearbench.people.person import Appearance
from clearbench.people.skin import beard, brows, lips
from clearbench.people.surface import normals, scalp, smoothstep, surface

Strands = Floats
_STEPS = 7


def _roots(
    mask: Floats, points: Floats, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Draws points, their normals and their rest positions where `mask` is large."""
    faces = surface().faces
    a, b, c = (points[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) * mask[faces].min(axis=1)
    chosen = faces[rng.choice(len(faces), size=count, p=area / area.sum())]
    weights = rng.dirichlet((1.0, 1.0, 1.0), size=count)[:, :, None]
    directions = normals(points, faces)
    at, up, rest = (
        (values[chosen] * weights).sum(axis=1) for values in (points, directions, surface().rest)
    )
    return at, up / np.linalg.norm(up, axis=1, keepdims=True), rest


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))


def _grow(
    roots: Floats,
    flow: Floats,
    length: Floats,
    lift: Floats,
    points: Floats,
    *,
    fall: float,
    hold: float = 0.0,
) -> Strands:
    """Lets strands grow along `flow`, bend down with `fall`, and stay `lift` off the skin.

    `hold` is how far each of the first steps may be drawn back towards the skin.
    """
    tree = cKDTree(points)
    directions = normals(points, surface().faces)
    step = (length / _STEPS)[:, None]
    at, heading, out = roots, _unit(flow), [roots]
    for k in range(1, _STEPS + 1):
        share = min(1.0, fall * k / _STEPS)
        heading = _unit(heading + share * np.array((0.0, -1.0, 0.0)))
        at = at + step * heading
        _, near = tree.query(at)
        depth = ((at - points[near]) * directions[near]).sum(axis=1)
        target = lift * min(1.0, k / 2.5)
        push = np.clip(target - depth, -hold if k <= 3 else 0.0, 0.35)
        at = at + push[:, None] * directions[near]
        heading = _unit(at - out[-1])
        out.append(at)
    return np.stack(out, axis=1)


def _waves(strands: Strands, size: float, turns: float, rng: np.random.Generator) -> Strands:
    """Adds waves that grow towards the tips and are alike for neighbouring strands."""
    share = np.linspace(0.0, 1.0, strands.shape[1])[None, :]
    phase = (
        2.5 * strands[:, :1, 0] + 1.5 * strands[:, :1, 2] + rng.normal(0, 0.5, (len(strands), 1))
    )
    angle = 2 * np.pi * turns * share + phase
    offset = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], axis=2)
    return np.asarray(strands + size * np.sqrt(share)[:, :, None] * offset)


def _open_face(strands: Strands, eyes: Floats) -> Strands:
    """Moves long strands aside so that they frame the face instead of covering it."""
    x, y, z = (strands[:, :, i] - eyes[i] for i in range(3))
    side = np.where(strands[:, :1, 0] >= 0, 1.0, -1.0)
    low = smoothstep(-0.55, 0.05, -y) * smoothstep(-1.1, -0.4, z)
    width = 0.74 * low
    moved = np.where(side * x < width, side * width, x)
    out = strands.copy()
    out[:, :, 0] = moved + eyes[0]
    out[:, :, 2] -= 0.35 * low * smoothstep(-0.5, 0.0, z)
    return out


def _long(points: Floats, eyes: Floats, rng: np.random.Generator, curly: bool) -> Strands:
    at, up, rest = _roots(_scalp_mask(0.02), points, 2800, rng)
    part = rng.choice((-0.22, 0.0, 0.22))
    side = np.tanh((rest[:, 0] - part) / 0.05)
    flow = np.stack([side, np.full(len(at), -0.1), -0.35 * np.ones(len(at))], axis=1)
    flow -= (flow * up).sum(axis=1, keepdims=True) * up
    bottom = eyes[1] - rng.uniform(1.0, 2.1)
    length = np.clip(at[:, 1] - bottom, 0.5, None) * 1.18 * rng.uniform(0.93, 1.0, len(at))
    lift = rng.uniform(0.03, 0.2 if not curly else 0.34, len(at))
    strands = _open_face(_grow(at, flow, length, lift, points, fall=1.2, hold=0.3), eyes)
    wave = 0.1 if curly else rng.choice((0.015, 0.045, 0.07))
    return _waves(strands, wave, 3.0 if curly else 1.6, rng)


def _short(points: Floats, rng: np.random.Generator, female: bool) -> Strands:
    at, up, rest = _roots(_scalp_mask(0.03), points, 2500, rng)
    top = smoothstep(7.5, 8.2, rest[:, 1])
    side = rng.choice((-1.0, 1.0))
    part = np.tanh((rest[:, 0] - 0.3 * side) / 0.1)
    sweep = rng.choice((-0.9, 0.45)) if not female else -0.1
    flow = np.stack([part * (0.9 if female else 0.7), -0.9 * (1 - top), sweep * top], axis=1)
    flow += up * ((0.1 if female else 0.25) + (0.1 if female else 0.3) * top)[:, None]
    long_top = rng.uniform(0.45, 0.75) if not female else rng.uniform(0.8, 1.0)
    long_side = rng.uniform(0.15, 0.28) if not female else rng.uniform(0.55, 0.8)
    length = (long_side + (long_top - long_side) * top) * rng.uniform(0.8, 1.0, len(at))
    front = smoothstep(0.9, 1.2, rest[:, 2])
    length *= 1 - 0.45 * front
    lift = rng.uniform(0.03, 0.16 if female else 0.13, len(at)) * (0.6 + 0.4 * top)
    return _waves(
        _grow(at, flow, length, lift, points, fall=0.9 if female else 0.3, hold=0.1), 0.02, 1.0, rng
    )


def _coils(points: Floats, rng: np.random.Generator, length: float) -> Strands:
    """Builds tightly curled hair that keeps a distance from the head."""
    at, up, rest = _roots(_scalp_mask(0.02), points, 2600, rng)
    flow = up + rng.normal(0, 0.35, up.shape) + np.array((0.0, 0.15, -0.1))
    taper = 0.3 + 0.7 * smoothstep(0.0, 0.35, scalp(rest))
    lengths = length * taper * rng.uniform(0.5, 1.0, len(at))
    strands = _grow(at, flow, lengths, np.zeros(len(at)), points, fall=0.0)
    return _waves(strands, 0.055 if length > 0.2 else 0.02, 3.0, rng)


def _cropped(points: Floats, rng: np.random.Generator) -> Strands:
    at, up, rest = _roots(_scalp_mask(0.03), points, 2800, rng)
    flow = 0.5 * up + np.array((0.0, -0.35, 0.3)) + rng.normal(0, 0.2, up.shape)
    length = (0.05 + 0.07 * smoothstep(7.6, 8.2, rest[:, 1])) * rng.uniform(0.7, 1.0, len(at))
    return _grow(at, flow, length, np.full(len(at), 0.015), points, fall=0.0)


def _scalp_mask(margin: float) -> Floats:
    return np.asarray((scalp(surface().rest) > margin) & ~surface().ears, dtype=np.float64)


def hair_strands(appearance: Appearance, points: Floats, eyes: Floats) -> Strands | None:
    """Builds the hair of a person.

    Args:
        appearance: Appearance of the person; `seed` varies the style.
        points: Positions of the surface's vertices.
        eyes: The point between the eyes.

    Returns:
        Strands as points along each strand, or None for a bald head.
    """
    rng = np.random.default_rng((appearance.seed, 21))
    female, coiled = appearance.gender == "female", appearance.heritage == "african"
    match appearance.hair_style:
        case "bald":
            return None
        case "cropped":
            return _coils(points, rng, 0.1) if coiled else _cropped(points, rng)
        case "short":
            return _coils(points, rng, 0.42) if coiled else _short(points, rng, female)
        case "long":
            return _long(points, eyes, rng, coiled)


def face_strands(appearance: Appearance, points: Floats) -> tuple[Strands, Strands | None]:
    """Builds the brows, and the beard of a person who has one."""
    rng = np.random.default_rng((appearance.seed, 22))
    rest = surface().rest
    thin = appearance.gender == "female"
    at, up, origin = _roots(brows(rest, 0.03 if thin else 0.05) ** 2, points, 160, rng)
    outward = np.sign(origin[:, :1]) * np.array((1.0, 0.0, 0.0)) + np.array((0.0, 0.35, 0.0))
    length = np.full(len(at), 0.07)
    arch = _grow(at, outward + 0.1 * up, length, np.full(len(at), 0.008), points, fall=0.0)
    if not appearance.beard:
        return arch, None
    mask = beard(rest) * (lips() < 0.05)
    at, up, _ = _roots(mask, points, 1300, rng)
    length = rng.uniform(0.6, 1.0, len(at)) * rng.choice((0.07, 0.14, 0.24))
    flow = 0.5 * up + np.array((0.0, -0.8, 0.0)) + rng.normal(0, 0.2, up.shape)
    return arch, _grow(at, flow, length, np.full(len(at), 0.02), points, fall=0.2)
