"""Draws appearances and views of portraits, and reads and writes the file of a pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from clearbench.errors import DataError
from clearbench.people.person import Appearance, Gender, Heritage, View

Kind = Literal["view", "swapped"]
Rng = np.random.Generator

_COLOURS: dict[Heritage, dict[str, float]] = {
    "african": {"black": 0.85, "brown": 0.15},
    "east_asian": {"black": 0.75, "brown": 0.25},
    "european": {"black": 0.1, "brown": 0.35, "blond": 0.35, "red": 0.2},
    "latin_american": {"black": 0.45, "brown": 0.45, "blond": 0.1},
    "middle_eastern": {"black": 0.55, "brown": 0.4, "red": 0.05},
    "south_asian": {"black": 0.75, "brown": 0.25},
}
_ROWS_PER_GROUP = 64
_SCHEMA = pa.schema(
    [
        ("identity", pa.int32()),
        ("appearance", pa.string()),
        ("view", pa.string()),
        ("kind", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ]
)


class Portrait(BaseModel):
    """One image of one person.

    Attributes:
        identity: Number of the person in the pool.
        appearance: Appearance; of a swapped portrait, with somebody else's hair and glasses.
        view: Clothes, place, light and angle.
        kind: "swapped" marks an image from the control world.
        jpeg: Encoded image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: int
    appearance: Appearance
    view: View
    kind: Kind = "view"
    jpeg: bytes


def _choose(rng: Rng, odds: dict[str, float]) -> str:
    options = list(odds)
    return options[int(rng.choice(len(options), p=list(odds.values())))]


def _pick(rng: Rng, field: str) -> str:
    """Draws one of the values a field of a view may take."""
    return str(rng.choice(get_args(View.model_fields[field].annotation)))


def _hair_style(rng: Rng, gender: Gender, age: int) -> str:
    if gender == "female":
        long = 0.72 if age < 50 else 0.45
        return _choose(rng, {"long": long, "short": 0.94 - long, "cropped": 0.06})
    bald = float(np.interp(age, (25, 70), (0.08, 0.32)))
    return _choose(rng, {"bald": bald, "cropped": 0.3, "short": 0.62 - bald, "long": 0.08})


def draw_appearance(rng: Rng, gender: Gender, age: int, heritage: Heritage) -> Appearance:
    """Draws a person whose hair, beard and glasses suit gender, age and heritage."""
    grey = float(np.interp(age, (38, 72), (0.0, 0.85)))
    colour = "grey" if rng.uniform() < grey else _choose(rng, _COLOURS[heritage])
    return Appearance.model_validate(
        {
            "seed": int(rng.integers(2**31)),
            "gender": gender,
            "age": age,
            "heritage": heritage,
            "hair_colour": colour,
            "hair_style": _hair_style(rng, gender, age),
            "beard": bool(gender == "male" and rng.uniform() < 0.4),
            "glasses": bool(rng.uniform() < np.interp(age, (20, 75), (0.15, 0.42))),
        }
    )


def draw_view(rng: Rng) -> View:
    """Draws an angle, an expression, clothes, a place and a light."""
    fields = ("expression", "garment", "garment_colour", "place", "light")
    angles = {"yaw": round(rng.uniform(-40, 40), 1), "pitch": round(rng.uniform(-12, 12), 1)}
    chosen = {field: _pick(rng, field) for field in fields}
    return View.model_validate({"seed": int(rng.integers(2**31)), **angles, **chosen})


def swap_disguise(a: Appearance, b: Appearance) -> Appearance:
    """Returns the face of `a` with the hair colour, hair style and glasses of `b`."""
    worn = ("hair_colour", "hair_style", "glasses")
    return a.model_copy(update={name: getattr(b, name) for name in worn})


def _table(portraits: list[Portrait]) -> pa.Table:
    rows = [
        {
            "identity": portrait.identity,
            "appearance": portrait.appearance.model_dump_json(),
            "view": portrait.view.model_dump_json(),
            "kind": portrait.kind,
            "image": {"bytes": portrait.jpeg, "path": None},
        }
        for portrait in portraits
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def write_pool(path: Path, pool: Iterable[Portrait]) -> None:
    """Writes portraits as Parquet; equal portraits give equal bytes.

    Args:
        path: File to write.
        pool: Portraits in the order in which they are written.
    """
    table = _table(list(pool))
    pq.write_table(table, path, compression="zstd", row_group_size=_ROWS_PER_GROUP)


def read_pool(path: Path) -> Iterator[Portrait]:
    """Reads portraits one row group at a time.

    Args:
        path: File written by `write_pool`.

    Yields:
        The portraits, in the order of the file.

    Raises:
        DataError: The file is missing or is not a pool of portraits.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_PER_GROUP, columns=_SCHEMA.names):
                yield from map(_portrait, batch.to_pylist())
    except (OSError, KeyError, pa.ArrowException, ValidationError) as error:
        raise DataError(
            "This file is not a pool of portraits.",
            str(path),
            "reinstall clearbench, or render the pool again with clearbench.builtin.pool",
        ) from error


def _portrait(row: dict[str, object]) -> Portrait:
    image = row["image"]
    if not isinstance(image, dict):
        raise KeyError("image")
    return Portrait.model_validate(
        {
            "identity": row["identity"],
            "appearance": Appearance.model_validate_json(str(row["appearance"])),
            "view": View.model_validate_json(str(row["view"])),
            "kind": row["kind"],
            "jpeg": image["bytes"],
        }
    )
