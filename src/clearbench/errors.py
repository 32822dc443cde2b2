"""Exceptions for mistakes a user can make: the mistake, its place, and its correction."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import ValidationError


class ClearbenchError(Exception):
    """A mistake a user can correct. The command line prints it without a stack trace.

    Args:
        what: Mistake, as a sentence.
        where: Place of the mistake: file, row, field or argument.
        fix: Correction that the user can make.
    """

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        lines = [what, f"  where: {where}" if where else "", f"  to do: {fix}" if fix else ""]
        super().__init__("\n".join(line for line in lines if line))


class DataError(ClearbenchError):
    """Rows or files that are not what they should be.

    Args:
        what: Mistake, as a sentence; several of them, a line each.
        where: Place of the mistake: file, row, field or argument.
        fix: Correction that the user can make.
        problems: All mistakes where there are several, of which `what` may list the first.

    Attributes:
        problems: All mistakes, a sentence each.
    """

    def __init__(
        self, what: str, where: str = "", fix: str = "", problems: Sequence[str] = ()
    ) -> None:
        super().__init__(what, where, fix)
        place = f" ({where})" if where else ""
        alone = "; ".join(part for part in (f"{what}{place}", fix) if part)
        self.problems = tuple(problems) or (" ".join(alone.split()),)


class RecipeError(ClearbenchError):
    """A recipe, option or hyper-parameter that cannot be used."""


class ModelError(ClearbenchError):
    """A model that cannot be loaded or does not fit the task."""


class StorageError(ClearbenchError):
    """A folder or file that cannot be read, written or trusted."""


class WriteError(StorageError):
    """A place that cannot be written: a full disk, a read-only folder, a name in the way."""


def explain(error: ValidationError, known: Iterable[str]) -> str:
    """Lists problems of a checked object, a line each; unknown keys with the nearest known one."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            last = str(problem["loc"][-1])
            lines.append(f"unknown key '{key}'; {did_you_mean(last, known)}")
        elif problem["type"] == "value_error":  # raised by a check of ours, which names the value
            message = str(problem["ctx"]["error"])
            lines.append(f"'{key}': {message}" if key else message)
        else:
            lines.append(f"'{key}' = {problem['input']!r}: {problem['msg']}")
    return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggests the closest known word, or lists the known words."""
    known = sorted(known)
    small = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word, known, n=1)
    close = close or difflib.get_close_matches(word.casefold(), small, n=1)
    if not close:
        return f"known: {', '.join(known)}"
    return f"did you mean '{small.get(close[0], close[0])}'?"


def number_or_other(value: Any, annotation: Any) -> Any:
    """Returns the value of a field, unless it is true or false where a number is meant.

    Raises:
        ValueError: It is, and would count as 1 or 0.
    """
    types = {annotation, *get_args(annotation)}
    if isinstance(value, bool) and types & {int, float} and bool not in types:
        raise ValueError(f"{value} is no number")
    return value
