"""Builds coloured meshes of clothes, eyes, lashes, teeth, glasses and strands of hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clearbench.people.mesh import Floats, Ints, base_mesh
from clearbench.people.person import View
from clearbench.people.surface import normals, smoothstep, surface

_CLOTH = {
    "red": (0.52, 0.018, 0.025),
    "blue": (0.025, 0.085, 0.48),
    "green": (0.025, 0.23, 0.05),
    "yellow": (0.86, 0.54, 0.02),
    "white": (0.80, 0.80, 0.78),
    "black": (0.012, 0.012, 0.014),
}
_NECKLINES = {"shirt": 0.0, "jacket": 0.0, "sweater": 0.42}
_FRAME = np.array((0.012, 0.011, 0.011))


@dataclass(frozen=True)
class Part:
    """A coloured mesh.

    Attributes:
        points: Positions of the vertices.
        faces: Triangles.
        colours: Colours of the vertices, in linear light.
        roughness: 0 for a mirror, 1 for chalk.
    """

    points: Floats
    faces: Ints
    colours: Floats
    roughness: float


def _grid_faces(rows: int, columns: int) -> Ints:
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    halves = [np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)]
    return np.concatenate([half.reshape(-1, 3) for half in halves])


def _sheet(points: Floats, colour: Floats, roughness: float) -> Part:
    """Builds a mesh from a grid of points, shaped (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    colours = np.broadcast_to(colour, points.shape).reshape(-1, 3)
    return Part(points.reshape(-1, 3), _grid_faces(rows, columns), colours, roughness)


def _below_neckline(rise: float) -> Floats:
    """Computes the distance of each vertex of the surface below the neckline, at rest."""
    x, y, z = surface().rest.T
    shoulder = 0.9 * np.clip(np.abs(x) - 0.5, 0.0, None) * (1 - smoothstep(5.95, 6.1, y))
    return np.asarray(5.84 + rise - 0.28 * (z + 0.5) + shoulder - y)


def _shell(points: Floats, depth: Floats, thickness: float, colours: Floats) -> Part:
    """Builds cloth over the skin, sunk into the skin at the edge to keep the edge smooth."""
    faces = surface().faces
    offset = (thickness + 0.03) * smoothstep(0.0, 0.12, depth) - 0.03
    shell = points + normals(points, faces) * offset[:, None]
    return Part(shell, faces[depth[faces].min(axis=1) > -0.1], colours, 0.8)


def _neck_ring(points: Floats, angles: Floats, rise: float) -> Floats:
    """Computes a smooth closed curve along the neckline; angle 0 is the front."""
    rest = surface().rest
    near = (np.abs(_below_neckline(rise)) < 0.1) & (np.abs(rest[:, 0]) < 0.75)
    phi = np.arctan2(rest[near, 0], rest[near, 2] - 0.1)

    def waves(values: Floats) -> Floats:
        terms = [f(k * values) for k in (1, 2, 3) for f in (np.cos, np.sin)]
        return np.stack([np.ones_like(values), *terms], axis=1)

    series, *_ = np.linalg.lstsq(waves(phi), points[near], rcond=None)
    return np.asarray(waves(angles) @ series)


def _collar(points: Floats, colour: Floats) -> Part:
    """Builds a folded shirt collar, open at the front."""
    angles = np.linspace(0.16, 2 * np.pi - 0.16, 72)
    ring = _neck_ring(points, angles, 0.0)
    out = ring - ring.mean(axis=0)
    out[:, 1] = 0.0
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    front = smoothstep(0.2, 1.0, np.cos(angles))[:, None]
    up = np.array((0.0, 1.0, 0.0))
    stand = ring + 0.06 * out + up * (0.27 - 0.12 * front)
    fold = ring + 0.10 * out + up * (0.29 - 0.12 * front)
    edge = ring + (0.17 + 0.1 * front) * out - up * (0.03 + 0.22 * front)
    middle = (fold + edge) / 2 + 0.03 * out
    return _sheet(np.stack([ring + 0.02 * out, stand, fold, middle, edge]), colour, 0.75)


def _sweater(points: Floats, colour: Floats) -> list[Part]:
    rest, depth = surface().rest, _below_neckline(_NECKLINES["sweater"])
    ribs = np.sin(46 * np.arctan2(rest[:, 0], rest[:, 2] - 0.1))
    high = smoothstep(5.6, 5.75, rest[:, 1] + 0.28 * rest[:, 2])
    shade = 1 + 0.12 * ribs * high
    angles = np.linspace(0, 2 * np.pi, 64)
    ring = _neck_ring(points, angles, 0.3)
    out = (ring - ring.mean(axis=0)) * (1.0, 0.0, 1.0)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    turns = np.linspace(0, 2 * np.pi, 9)
    roll = [
        ring + (0.08 + 0.07 * np.cos(t)) * out + np.array((0.0, 0.15 * np.sin(t), 0.0))
        for t in turns
    ]
    shell = _shell(points, depth, 0.1, np.clip(colour * shade[:, None], 0, 1))
    return [shell, _sheet(np.stack(roll), colour, 0.9)]


def _jacket(points: Floats, colour: Floats, dark: bool) -> list[Part]:
    rest = surface().rest
    x, y, z = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2]
    inner = np.array(_CLOTH["white"] if not dark else (0.05, 0.05, 0.055))
    edge = np.where(z > 0.0, 0.10 + 0.55 * np.clip(y - 4.5, 0.0, None), 0.0)
    depth = np.minimum(_below_neckline(0.0), (x - edge) * 0.9)
    lapel = smoothstep(0.03, 0.06, depth) * (1 - smoothstep(0.24, 0.27, depth)) * (z > 0.1)
    colours = colour * (1 - 0.45 * lapel[:, None])
    shirt = np.broadcast_to(inner, rest.shape)
    return [
        _shell(points, _below_neckline(0.0), 0.05, shirt),
        _shell(points, depth, 0.14, colours),
        _collar(points, inner),
    ]


def garment(view: View, points: Floats) -> list[Part]:
    """Builds the clothes of one portrait."""
    colour = np.array(_CLOTH[view.garment_colour])
    if view.garment == "sweater":
        return _sweater(points, colour)
    if view.garment == "jacket":
        return _jacket(points, colour, dark=view.garment_colour == "white")
    placket = np.abs(surface().rest[:, 0] - 0.06) < 0.02
    cloth = np.where(placket[:, None], colour * 0.6, colour)
    shell = _shell(points, _below_neckline(_NECKLINES["shirt"]), 0.07, cloth)
    return [shell, _collar(points, np.clip(colour * 1.12 + 0.01, 0.0, 0.85))]


def eye_sockets(vertices: Floats) -> Floats:
    """Computes the centres of the left and the right eyeball."""
    faces = base_mesh().faces
    pair = [vertices[np.unique(faces[f"helper-{side}-eye"])] for side in "lr"]
    return np.stack([(eye.min(axis=0) + eye.max(axis=0)) / 2 for eye in pair])


def eyeballs(vertices: Floats, iris: Floats, yaw: float, pitch: float) -> list[Part]:
    """Builds two eyeballs turned by the given angles, in radians."""
    faces = base_mesh().faces
    parts = []
    for side, centre in zip("lr", eye_sockets(vertices), strict=True):
        eye = vertices[np.unique(faces[f"helper-{side}-eye"])]
        radius = float(np.ptp(eye, axis=0).max()) / 2
        polar, turn = np.meshgrid(np.linspace(0, 2, 40), np.linspace(0, 2 * np.pi, 33))
        ball = np.stack(
            [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], axis=2
        )
        white = np.array((0.74, 0.71, 0.69))
        ring = smoothstep(0.46, 0.54, polar)[:, :, None]
        hole = smoothstep(0.17, 0.23, polar)[:, :, None]
        colours = (white * ring + iris * (1 - ring)) * hole + 0.003 * (1 - hole)
        parts.append(_sheet(centre + radius * ball @ turn_matrix(yaw, pitch).T, colours, 0.12))
    return parts


def turn_matrix(yaw: float, pitch: float) -> Floats:
    """Builds the rotation to the side by `yaw` and up by `pitch`, both in radians."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    side = np.array(((cy, 0, sy), (0, 1, 0), (-sy, 0, cy)))
    nod = np.array(((1, 0, 0), (0, cp, sp), (0, -sp, cp)))
    return np.asarray(side @ nod)


def _helper(vertices: Floats, name: str, colour: tuple[float, ...], roughness: float) -> Part:
    kept, faces = np.unique(base_mesh().faces[name], return_inverse=True)
    colours = np.tile(colour, (len(kept), 1))
    return Part(vertices[kept], faces.reshape(-1, 3), colours, roughness)


def lashes_and_teeth(vertices: Floats, lower_lashes: bool) -> list[Part]:
    """Builds eyelashes and teeth from the base mesh's helper geometry."""
    rows = ("2", "1") if lower_lashes else ("2",)
    lashes = [f"helper-{side}-eyelashes-{row}" for side in "lr" for row in rows]
    parts = [_helper(vertices, name, (0.012, 0.009, 0.008), 0.9) for name in lashes]
    teeth = ("helper-upper-teeth", "helper-lower-teeth")
    return parts + [_helper(vertices, name, (0.72, 0.69, 0.62), 0.25) for name in teeth]


def ribbons(paths: Floats, radius: float, colour: Floats, rng: np.random.Generator) -> Part:
    """Builds strands as ribbons that face the front and taper, all in shades of their own."""
    count, steps = paths.shape[:2]
    heading = np.gradient(paths, axis=1)
    side = np.cross(heading, (0.0, 0.1, 1.0))
    side /= np.linalg.norm(side, axis=2, keepdims=True) + 1e-9
    width = (radius * np.linspace(1.0, 0.4, steps))[None, :, None]
    edges = np.stack([paths - width * side, paths + width * side], axis=1)
    starts = (np.arange(count) * 2 * steps)[:, None, None]
    faces = (_grid_faces(2, steps)[None] + starts).reshape(-1, 3)
    shade = np.repeat(rng.uniform(0.65, 1.4, (count, 1)), 2 * steps, axis=0)
    return Part(edges.reshape(-1, 3), faces, np.clip(colour * shade, 0.0, 0.85), 0.5)


def _tube(path: Floats, radius: float) -> Part:
    """Builds a thin round bar along a path."""
    heading = np.gradient(path, axis=0)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    side = np.cross(heading, (0.1, 0.3, 0.95))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, heading)
    turns = np.linspace(0, 2 * np.pi, 9)
    rows = [path + radius * (np.cos(t) * side + np.sin(t) * up) for t in turns]
    return _sheet(np.stack(rows), _FRAME, 0.3)


def glasses(vertices: Floats, seed: int) -> list[Part]:
    """Builds dark frames: two rims, a bridge and two temples."""
    rng = np.random.default_rng((seed, 31))
    width, height, power = rng.uniform(0.27, 0.31), rng.uniform(0.2, 0.26), rng.uniform(0.55, 1.0)
    turn = np.linspace(0, 2 * np.pi, 48)
    left, right = eye_sockets(vertices) + np.array((0.0, -0.03, 0.36))
    shape = np.stack(
        [
            width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power,
            height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power,
            -0.25 * np.abs(np.cos(turn)) * 0.4,
        ],
        axis=1,
    )
    parts = [_tube(centre + shape, 0.03) for centre in (left, right)]
    inner = left - np.array((width, 0.0, 0.06)), right + np.array((width, 0.0, -0.06))
    bridge = np.linspace(inner[0], inner[1], 8)
    bridge[:, 1] += 0.05 * np.sin(np.linspace(0, np.pi, 8))
    parts.append(_tube(bridge, 0.028))
    for centre, side in ((left, 1.0), (right, -1.0)):
        hinge = centre + np.array((side * width, 0.06, -0.08))
        ear = np.array((side * 0.86, hinge[1] - 0.02, 0.3))
        parts.append(_tube(np.linspace(hinge, ear, 8), 0.024))
    return parts
