"""What ships with the package: a pool of rendered portraits, so that a demo renders nothing."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

from clearbench.people.portraits import Portrait, read_pool


@cache
def builtin_pool() -> list[Portrait]:
    """Portraits of 96 people: 72 for worlds, 24 public figures."""
    with as_file(files("clearbench.people") / "portraits.parquet") as path:
        return list(read_pool(path))
