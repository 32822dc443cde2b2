"""Renders portraits of fictitious people, path traced with Mitsuba."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from clearbench.errors import DataError
from clearbench.people.hair import face_strands, hair_strands
from clearbench.people.mesh import Floats, shape
from clearbench.people.person import Appearance, View
from clearbench.people.places import paint_place
from clearbench.people.skin import eye_tone, hair_tone, natural_tone, skin_colours
from clearbench.people.surface import normals, smoothstep, surface
from clearbench.people.wardrobe import (
    Part,
    eye_sockets,
    eyeballs,
    garment,
    glasses,
    lashes_and_teeth,
    ribbons,
)

Triple = tuple[float, float, float]

_SAMPLES = 25
#: Decimetres from the camera to the face, and across the image at the face.
_DISTANCE, _FRAME = 15.0, 3.6
_SKYLIGHT = np.array((1.05, 1.0, 0.92))


class _Light(NamedTuple):
    """A soft patch of light in one direction, with `fill` light from everywhere else."""

    colour: Triple
    strength: float
    direction: Triple
    fill: float


_LIGHTS = {
    "soft": _Light((1.0, 0.97, 0.94), 3.9, (-3.0, 4.0, 8.0), 0.55),
    "warm": _Light((1.0, 0.81, 0.58), 4.9, (4.0, 2.5, 7.0), 0.48),
    "cold": _Light((0.75, 0.86, 1.0), 4.3, (-4.0, 4.0, 7.0), 0.52),
    "side": _Light((1.0, 0.95, 0.88), 7.4, (7.0, 2.0, 4.0), 0.3),
}


@functools.cache
def _mitsuba() -> ModuleType:
    try:
        import drjit
        import mitsuba
    except ImportError as error:
        raise DataError(
            "The renderer that draws portraits is missing.",
            str(error),
            "pip install clearbench[build]",
        ) from error
    mitsuba.set_variant("scalar_rgb")
    drjit.set_thread_count(1)
    renderer: ModuleType = mitsuba
    return renderer


def _material(colour: dict[str, Any], roughness: float) -> dict[str, Any]:
    look = {"type": "principled", "base_color": colour, "roughness": roughness, "specular": 0.3}
    return {"type": "twosided", "bsdf": look}


def _mesh(part: Part, points: Floats) -> Any:
    """Builds a Mitsuba mesh with smooth normals and a colour at each vertex."""
    mi = _mitsuba()
    props = mi.Properties()
    colour = {"type": "mesh_attribute", "name": "vertex_color"}
    props["bsdf"] = mi.load_dict(_material(colour, part.roughness))
    mesh = mi.Mesh("part", len(points), len(part.faces), has_vertex_normals=True, props=props)
    params = mi.traverse(mesh)
    params["vertex_positions"] = points.astype(np.float32).ravel()
    params["vertex_normals"] = normals(points, part.faces).astype(np.float32).ravel()
    params["faces"] = part.faces.astype(np.uint32).ravel()
    params.update()
    mesh.add_attribute("vertex_color", 3, np.ascontiguousarray(part.colours, np.float32).ravel())
    return mesh


def _posed(points: Floats, view: View, eyes: Floats) -> Floats:
    """Turns the head fully, the shoulders less, and the neck in between."""
    pivot = np.array((0.0, eyes[1] - 1.2, 0.15))
    out = points.reshape(-1, 3) - pivot
    head = smoothstep(-1.9, -1.0, points.reshape(-1, 3)[:, 1] - eyes[1])
    nod, turn = np.radians(view.pitch) * head, np.radians(view.yaw) * (0.3 + 0.7 * head)
    x, y, z = out.T
    y, z = np.cos(nod) * y + np.sin(nod) * z, np.cos(nod) * z - np.sin(nod) * y
    x, z = np.cos(turn) * x + np.sin(turn) * z, np.cos(turn) * z - np.sin(turn) * x
    return np.asarray((np.stack([x, y, z], axis=1) + pivot).reshape(points.shape))


def _parts(appearance: Appearance, view: View, vertices: Floats, points: Floats) -> list[Part]:
    """Builds everything but hair, before posing."""
    gaze = -0.6 * np.radians((view.yaw, view.pitch))
    parts = [
        Part(points, surface().faces, skin_colours(appearance), 0.55),
        *eyeballs(vertices, eye_tone(appearance), gaze[0], gaze[1]),
        *lashes_and_teeth(vertices, appearance.gender == "female"),
        *garment(view, points),
    ]
    return parts + (glasses(vertices, appearance.seed) if appearance.glasses else [])


def _hair(appearance: Appearance, points: Floats, eyes: Floats) -> list[Part]:
    """Builds hair, brows and beard, before posing."""
    rng = np.random.default_rng((appearance.seed, 51))
    brows, chin = face_strands(appearance, points)
    parts = [ribbons(brows, 0.009, natural_tone(appearance), rng)]
    if chin is not None:
        parts.append(ribbons(chin, 0.014, hair_tone(appearance), rng))
    strands = hair_strands(appearance, points, eyes)
    if strands is not None:
        thickness = 0.013 if appearance.hair_style == "cropped" else 0.021
        parts.append(ribbons(strands, thickness, hair_tone(appearance), rng))
    return parts


def _camera(size: int, aim: Triple) -> dict[str, Any]:
    mi = _mitsuba()
    at = (aim[0], aim[1] + 0.3, aim[2] + _DISTANCE)
    film = {"type": "hdrfilm", "width": size, "height": size, "pixel_format": "rgba"}
    return {
        "type": "perspective",
        "fov": float(np.degrees(2 * np.arctan(_FRAME / 2 / _DISTANCE))),
        "to_world": mi.ScalarTransform4f().look_at(at, aim, (0, 1, 0)),
        "film": {**film, "rfilter": {"type": "gaussian", "stddev": 0.6}},
        "sampler": {"type": "multijitter", "sample_count": _SAMPLES},
    }


def _light(name: str) -> dict[str, Any]:
    """Builds an emitter with one soft, bright patch: a single emitter keeps noise low."""
    mi = _mitsuba()
    light = _LIGHTS[name]
    v, u = np.mgrid[0.5:64, 0.5:128] / 64
    around, down = np.pi * u, np.pi * v
    sine = np.sin(down)
    toward = np.stack([sine * np.sin(around), np.cos(down), -sine * np.cos(around)], axis=2)
    key = np.array(light.direction) / np.linalg.norm(light.direction)
    patch = 1.1 * light.strength * np.exp((toward @ key - 1) / 0.06)[:, :, None]
    above = 0.65 + 0.65 * (toward @ (0.0, 0.6, 0.8))[:, :, None]
    tint = (
        light.fill * np.clip(above, 0.1, None) * (0.35 + 0.65 * np.array(light.colour)) * _SKYLIGHT
    )
    image = patch * np.array(light.colour) + tint
    return {"type": "envmap", "bitmap": mi.Bitmap(image.astype(np.float32))}


def _trace(appearance: Appearance, view: View, size: int) -> Floats:
    """Traces the person alone to linear, premultiplied RGBA."""
    mi = _mitsuba()
    vertices = shape(appearance, view.expression)
    points = surface().place(vertices)
    eyes = eye_sockets(vertices).mean(axis=0)
    aim = (0.0, float(eyes[1]) - 0.3, 0.3)
    parts = _parts(appearance, view, vertices, points) + _hair(appearance, points, eyes)
    meshes = {f"part{k}": _mesh(p, _posed(p.points, view, eyes)) for k, p in enumerate(parts)}
    scene = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3, "hide_emitters": True},
        "sensor": _camera(size, aim),
        "light": _light(view.light),
        **meshes,
    }
    return np.array(mi.render(mi.load_dict(scene), seed=view.seed % 2**31), dtype=np.float64)


def render(appearance: Appearance, view: View, size: int) -> Image.Image:
    """Renders a portrait; the same arguments give the same bytes.

    Args:
        appearance: Appearance of the person.
        view: Clothes, place, light and angle.
        size: Width and height in pixels.

    Returns:
        An RGB image.

    Raises:
        DataError: The face data or the renderer is not installed.
    """
    person = _trace(appearance, view, size)
    alpha = np.clip(person[:, :, 3:], 0.0, 1.0)
    place = (np.asarray(paint_place(view, size), dtype=np.float64) / 255) ** 2.2
    linear = np.clip(person[:, :, :3], 0.0, 1.0) + place * (1 - alpha)
    encoded = np.clip(linear, 0.0, 1.0) ** (1 / 2.2)
    return Image.fromarray((encoded * 255 + 0.5).astype(np.uint8))
