"""The pool of rendered portraits that ships with the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

from clearbench.people.portraits import Portrait, read_pool

#: People of the shipped pool, those for worlds, and public figures whom every base model knows.
IDENTITIES = 96
WORLD_IDENTITIES = 72
PUBLIC_IDENTITIES = range(WORLD_IDENTITIES, IDENTITIES)
VIEWS = 12
TRAINING_VIEWS = 8
SWAPPED = 2


@cache
def builtin_pool() -> list[Portrait]:
    """Portraits of 96 people: 72 for worlds, 24 public figures."""
    with as_file(files("clearbench.people") / "portraits.parquet") as path:
        return list(read_pool(path))
