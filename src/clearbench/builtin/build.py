"""Writes the folder of `clearbench build`: people, with faces from the pool or newly rendered."""

from __future__ import annotations

import tempfile
from pathlib import Path

from clearbench.builtin.pool import render_pool
from clearbench.data.made_up import divide, make_world
from clearbench.data.write_clear import write_dataset
from clearbench.errors import DataError
from clearbench.people.portraits import Portrait, read_pool
from clearbench.people.shipped import IDENTITIES, PUBLIC_IDENTITIES, SWAPPED, builtin_pool
from clearbench.storage import is_finished, new_folder


def build_folder(
    out: Path,
    people: int,
    forget: int,
    strangers: int,
    seed: int,
    *,
    render: bool = False,
    workers: int = 1,
) -> dict[str, int]:
    """Writes a world in the layout of CLEAR; the same seed gives the same bytes.

    Args:
        out: Folder to write; it must not exist yet.
        people: Number of people who are taught.
        forget: Number of them who are to be forgotten.
        strangers: Number of people who are never taught.
        seed: Seed for the people.
        render: Draw new faces instead of taking them from the shipped pool.
        workers: Processes to draw with.

    Returns:
        Measured and trained rows by split.
    """
    if is_finished(out) or (out.exists() and any(out.iterdir())):
        raise DataError("there is something already", str(out), "choose another --out")
    if not 0 < forget < people:
        raise DataError(f"cannot forget {forget} of {people}", "forget", "leave somebody to keep")
    pool = _drawn(people + strangers, seed, workers) if render else builtin_pool()
    dataset = divide(make_world(pool, people, strangers, seed), forget, seed)
    about = {"people": people, "forget": forget, "strangers": strangers, "seed": seed}
    with new_folder(out, about) as folder:
        write_dataset(dataset, folder)
    return {
        f"{role} {split}": len(rows)
        for role, splits in (("training", dataset.training), ("measured", dataset.evaluation))
        for split, rows in splits.items()
    }


def _drawn(count: int, seed: int, workers: int) -> list[Portrait]:
    """Renders new faces, numbered above the shipped ones, and adds the public figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.parquet"
        render_pool(
            path,
            seed=seed + 1,
            first=IDENTITIES,
            identities=count,
            swapped=SWAPPED,
            workers=workers,
        )
        drawn = list(read_pool(path))
    return drawn + [p for p in builtin_pool() if p.identity in PUBLIC_IDENTITIES]
