"""Cuts out the part of the body a portrait shows, refined for smooth colours and edges."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clearbench.people.mesh import Floats, Ints, base_mesh

#: Decimetres: vertices lower or farther out are never in the image.
_LOWEST = 3.9
_WIDEST = 3.0


@dataclass(frozen=True)
class Surface:
    """Head and shoulders as a triangle mesh whose vertices blend those of the base mesh.

    Attributes:
        sources: Four base vertices of each vertex, of which it is the mean.
        faces: Triangles.
        rest: Positions on the undeformed body, where the features of a face are known.
        ears: Vertices that belong to an ear.
    """

    sources: Ints
    faces: Ints
    rest: Floats
    ears: NDArray[np.bool_]

    def place(self, vertices: Floats) -> Floats:
        """Computes the positions of this surface on a body with these base vertices."""
        return np.asarray(vertices[self.sources].mean(axis=1))


def _split(faces: Ints, count: int) -> tuple[Ints, Ints]:
    """Halves every edge: returns the pairs of vertices to add, and four triangles per triangle."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    pairs, where = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (where.reshape(3, -1) + count).astype(np.int64)
    a, b, c = faces.T
    rows = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return pairs, np.concatenate([np.stack(row, axis=1) for row in rows])


@functools.cache
def surface() -> Surface:
    """Cuts head and shoulders out of the base mesh and refines them once."""
    mesh = base_mesh()
    faces = mesh.faces["body"]
    corners = mesh.vertices[faces]
    shown = (corners[:, :, 1].min(axis=1) > _LOWEST) & (
        np.abs(corners[:, :, 0]).max(axis=1) < _WIDEST
    )
    kept, faces = np.unique(faces[shown], return_inverse=True)
    pairs, faces = _split(faces.reshape(-1, 3), len(kept))
    sources = np.concatenate([np.stack([kept] * 4, axis=1), kept[np.tile(pairs, 2)]])
    rest = mesh.vertices[sources].mean(axis=1)
    ears = (np.abs(rest[:, 0]) > 0.74) & (np.abs(rest[:, 1] - 7.1) < 0.5)
    ears &= np.abs(rest[:, 2] - 0.35) < 0.45
    return Surface(sources, faces, rest, ears)


def normals(points: Floats, faces: Ints) -> Floats:
    """Computes area-weighted unit normals of the vertices."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    corners, weights = faces.T.ravel(), np.tile(cross, (3, 1))
    columns = [np.bincount(corners, weights[:, i], len(points)) for i in range(3)]
    out = np.stack(columns, axis=1)
    return np.asarray(out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-12))


def smoothstep(low: float, high: float, values: Floats) -> Floats:
    """Computes a smooth ramp from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def scalp(rest: Floats) -> Floats:
    """Computes the height above the hairline of points on the undeformed body, in decimetres."""
    x, y, z = rest.T
    angle = np.abs(np.arctan2(x, z - 0.25))
    line = np.interp(
        angle,
        (0.0, 0.45, 0.7, 0.95, 1.15, 1.35, 1.75, 2.1, np.pi),
        (7.93, 7.92, 7.85, 7.6, 7.2, 7.3, 7.3, 6.6, 6.4),
    )
    return np.asarray(y - line)
