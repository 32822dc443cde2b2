"""Assertions of the contract checks, with messages that name what was compared."""

from __future__ import annotations

import math

#: Relative tolerance of float32 results that should be equal.
CLOSE = 1e-5


def near(first: float, second: float, what: str, relative: float = CLOSE) -> None:
    """Raises an `AssertionError` unless two values are equal up to rounding."""
    if not math.isclose(first, second, rel_tol=relative, abs_tol=relative):
        raise AssertionError(f"{what}: {first!r} and {second!r}")


def must(condition: object, what: str) -> None:
    """Raises an `AssertionError` unless a condition holds."""
    if not condition:
        raise AssertionError(what)
