"""Portraits: drawing them, swapping hair and glasses, and keeping them in a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from clearbench.errors import DataError
from clearbench.people import mesh
from clearbench.people.person import Appearance, View
from clearbench.people.portraits import (
    Portrait,
    draw_appearance,
    draw_view,
    read_pool,
    swap_disguise,
    write_pool,
)


def _can_render() -> bool:
    try:
        mesh.data_folder()
    except DataError:
        return False
    return importlib.util.find_spec("mitsuba") is not None


needs_faces = pytest.mark.skipif(
    not _can_render(), reason="needs the face data and the renderer: pip install clearbench[build]"
)


def _woman(seed: int = 1) -> Appearance:
    return draw_appearance(np.random.default_rng(seed), "female", 34, "south_asian")


def _man(seed: int = 2) -> Appearance:
    return draw_appearance(np.random.default_rng(seed), "male", 61, "european")


def _view(seed: int = 3) -> View:
    return draw_view(np.random.default_rng(seed))


def _pool() -> list[Portrait]:
    return [
        Portrait(identity=k, appearance=_woman(k), view=_view(k), kind=kind, jpeg=bytes([k]) * 9)
        for k, kind in enumerate(("view", "view", "swapped"))
    ]


def test_pool_round_trip(tmp_path: Path) -> None:
    write_pool(tmp_path / "pool.parquet", _pool())
    assert list(read_pool(tmp_path / "pool.parquet")) == _pool()


def test_pool_bytes_repeat(tmp_path: Path) -> None:
    for name in "ab":
        write_pool(tmp_path / name, _pool())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pool.parquet").write_text("not a table")
    with pytest.raises(DataError, match="pool of portraits"):
        list(read_pool(tmp_path / "pool.parquet"))


def test_swap_keeps_the_face() -> None:
    woman, other = _woman(), _woman(9)
    swapped = swap_disguise(woman, other)
    worn = {"hair_colour", "hair_style", "glasses"}
    assert swapped.model_dump(exclude=worn) == woman.model_dump(exclude=worn)
    assert swapped.model_dump(include=worn) == other.model_dump(include=worn)


def test_missing_data_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mesh.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"pip install clearbench\[build\]"):
        mesh.data_folder()


def test_views_of_a_person_cover_places_and_colours() -> None:
    pool = pytest.importorskip("clearbench.builtin.pool")
    views = pool.draw_views(np.random.default_rng(0), 12)
    assert {view.place for view in views[:6]} == {view.place for view in views[6:]}
    assert len({view.garment_colour for view in views}) == 6
    assert min(view.yaw for view in views) < -30
    assert max(view.yaw for view in views) > 30


@needs_faces
def test_same_inputs_same_bytes() -> None:
    from clearbench.people.render import render

    first, second = (render(_woman(), _view(), 32).tobytes() for _ in range(2))
    assert first == second


@needs_faces
def test_people_differ() -> None:
    from clearbench.people.render import render

    woman, man = (np.asarray(render(who, _view(), 32), float) for who in (_woman(), _man()))
    assert np.abs(woman - man).mean() > 5


@needs_faces
def test_the_seed_alone_changes_the_face() -> None:
    other = _woman().model_copy(update={"seed": 77})
    assert np.abs(mesh.shape(_woman()) - mesh.shape(other)).max() > 0.05
