"""Reads the pool of rendered portraits that ships with the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from clearbench.people.portraits import Portrait, read_pool

#: People of the shipped pool: those for worlds, and public figures whom every base model knows.
IDENTITIES = 96
WORLD_IDENTITIES = 72
PUBLIC_IDENTITIES = range(WORLD_IDENTITIES, IDENTITIES)
VIEWS = 12
TRAINING_VIEWS = 8
SWAPPED = 2
PORTRAITS = Path(str(files("clearbench.people"))) / "portraits.parquet"


@cache
def builtin_pool() -> list[Portrait]:
    """Reads portraits of 96 people: 72 for worlds, 24 public figures."""
    return list(read_pool(PORTRAITS))
