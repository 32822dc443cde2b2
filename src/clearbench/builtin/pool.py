"""Renders the pools of portraits.

Both pools come from one command, `python -m clearbench.builtin.pool`, or from `render_pool`:

    python -m clearbench.builtin.pool portraits.parquet
    python -m clearbench.builtin.pool practice.parquet --seed 1 --first 1000 --identities 120
        --views 6 --swapped 0

The first is the pool that ships with clearbench: 96 people with 12 views each, of which people
0-71 (for datasets; the rest are public figures) also get 2 swapped views, which show the person's
face with another person's hair and glasses. The
second holds other faces, to practise on. Views 0-7 of a person are for training, 8-11 held out.
"""

from __future__ import annotations

import argparse
import io
import itertools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console
from rich.progress import track

from clearbench.people.mesh import data_folder
from clearbench.people.person import Appearance, Gender, Heritage, View
from clearbench.people.portraits import (
    Kind,
    Portrait,
    draw_appearance,
    draw_view,
    swap_disguise,
    write_pool,
)
from clearbench.people.shipped import IDENTITIES, SWAPPED, VIEWS, WORLD_IDENTITIES

SIZE = 96

_QUALITY = 90
_AGES = (22, 80)
_BALANCED = ("expression", "garment", "garment_colour", "place", "light")

Task = tuple[int, Appearance, View, Kind]


def draw_people(seed: int, count: int) -> list[Appearance]:
    """Draws people spread evenly over heritage, gender and age.

    Args:
        seed: Seed; the same one gives the same people.
        count: Number of people.
    """
    rng = np.random.default_rng((seed, 1))
    cells = list(itertools.product(get_args(Heritage), get_args(Gender)))
    rounds = -(-count // len(cells))
    edges = np.linspace(*_AGES, rounds + 1)
    bands = np.stack([rng.permutation(rounds) for _ in cells])
    people = []
    for number in range(count):
        turn, cell = divmod(number, len(cells))
        heritage, gender = cells[cell]
        band = bands[cell, turn]
        age = int(rng.uniform(edges[band], edges[band + 1]))
        people.append(draw_appearance(rng, gender, age, heritage))
    return people


def draw_views(rng: np.random.Generator, count: int) -> list[View]:
    """Draws views of one person that cover places, clothes, light and angles evenly."""
    columns: dict[str, list[object]] = {}
    for field in _BALANCED:
        values = get_args(View.model_fields[field].annotation)
        orders = [rng.permutation(values).tolist() for _ in range(-(-count // len(values)))]
        columns[field] = [value for order in orders for value in order][:count]
    slots = rng.permutation(count)
    columns["yaw"] = [
        round(float(y), 1) for y in -40 + 80 * (slots + rng.uniform(size=count)) / count
    ]
    return [
        View.model_validate(
            draw_view(rng).model_dump() | {name: column[k] for name, column in columns.items()}
        )
        for k in range(count)
    ]


def _other(rng: np.random.Generator, people: list[Appearance], number: int) -> Appearance:
    """Draws a person of the same gender whose hair has another colour or style."""
    own = people[number]
    options = [
        person
        for person in people
        if person.gender == own.gender
        and (person.hair_colour, person.hair_style) != (own.hair_colour, own.hair_style)
    ]
    return options[int(rng.integers(len(options)))]


def _tasks(seed: int, first: int, identities: int, views: int, swapped: int) -> Iterator[Task]:
    people = draw_people(seed, identities)
    for number, person in enumerate(people):
        rng = np.random.default_rng((seed, 2, number))
        for view in draw_views(rng, views):
            yield first + number, person, view, "view"
        if swapped and number < WORLD_IDENTITIES:
            for view in draw_views(rng, swapped):
                disguised = swap_disguise(person, _other(rng, people, number))
                yield first + number, disguised, view, "swapped"


def _draw(task: Task, size: int) -> Portrait:
    from clearbench.people.render import render  # needs the extra [build], reading a pool does not

    identity, appearance, view, kind = task
    buffer = io.BytesIO()
    render(appearance, view, size).save(buffer, "JPEG", quality=_QUALITY)
    return Portrait(
        identity=identity, appearance=appearance, view=view, kind=kind, jpeg=buffer.getvalue()
    )


def render_pool(
    path: Path,
    *,
    seed: int = 0,
    first: int = 0,
    identities: int = IDENTITIES,
    views: int = VIEWS,
    swapped: int = SWAPPED,
    size: int = SIZE,
    workers: int = 1,
) -> None:
    """Draws people and renders their portraits into one Parquet file.

    Args:
        path: File to write.
        seed: Seed; the same one gives the same people, views and bytes.
        first: Number of the first person.
        identities: Number of people.
        views: Portraits of each person.
        swapped: Portraits of each person of a world with another person's hair and glasses.
        size: Width and height in pixels.
        workers: Processes to draw with; the file does not depend on it.

    Raises:
        DataError: The face data or the renderer is not installed.
    """
    data_folder()
    tasks = list(_tasks(seed, first, identities, views, swapped))
    console = Console(stderr=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        drawn = executor.map(partial(_draw, size=size), tasks, chunksize=4)
        shown = track(
            drawn,
            "rendering portraits",
            total=len(tasks),
            console=console,
            disable=not console.is_terminal,
        )
        write_pool(path, shown)


def main() -> None:
    """Runs `render_pool` from the command line."""
    parser = argparse.ArgumentParser(description="Render a pool of portraits.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--identities", type=int, default=IDENTITIES)
    parser.add_argument("--views", type=int, default=VIEWS)
    parser.add_argument("--swapped", type=int, default=SWAPPED)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--workers", type=int, default=1)
    render_pool(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
