"""Checks that records hold what a measurement can give, and names the rows that do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from clearbench.errors import DataError
from clearbench.evaluation.groups import ANSWERS, GENERATIONS, LOGGED, MEAN, TOKEN_COLUMNS
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import ROW_COLUMNS
from clearbench.libraries import pd

#: Largest log-probability that rounding can give.
ROUNDING = 1e-4
#: Number of problems that are named; the rest is counted.
NAMED = 5
#: Tables that are checked, with the columns that name a line of them.
_CHECKED = {
    ANSWERS: (*ROW_COLUMNS, "variant"),
    GENERATIONS: ROW_COLUMNS,
    LOGGED: (*ROW_COLUMNS, "metric"),
}
_TEXTS = ("split", "track", "task", "row", "variant", "metric", "question", "truth", "text")


def check_records(records: Records, where: str) -> None:
    """Refuses records that no model can have given.

    Raises:
        DataError: Names table, row, column and value of the first problems, and counts the others.
    """
    problems = [
        f"{table.name}: {problem}"
        for table, names in _CHECKED.items()
        if table.name in records
        for problem in _problems(records[table.name], names)
    ]
    if problems:
        more = f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise DataError(
            f"these records cannot be: {'; '.join(problems[:NAMED])}{more}",
            where,
            "measure again, or take the log as it was written",
        )


def _problems(frame: pd.DataFrame, names: tuple[str, ...]) -> Iterator[str]:
    needed = [*names, *(GENERATIONS.columns[5:] if "text" in frame or "truth" in frame else ())]
    missing = [name for name in needed if name not in frame]
    if not missing and "variant" in names and MEAN not in frame and "log_probs" not in frame:
        missing = ["log_probs"]
    if missing:
        yield f"there is no column {', '.join(missing)}"
        return
    for name in (name for name in _TEXTS if name in frame):
        for place, value in enumerate(frame[name]):
            if not isinstance(value, str):
                yield f"line {place}, {name} is {value!r}, not a text"
    twice = frame[frame.duplicated([name for name in names if name != "person"])]
    yield from (f"row {row!r} is there twice" for row in twice["row"])
    odd = frame[pd.to_numeric(frame["person"], errors="coerce").isna()]
    yield from (
        f"row {r!r}: person is {p!r}" for r, p in zip(odd["row"], odd["person"], strict=True)
    )
    for column in ("value", MEAN, *TOKEN_COLUMNS):
        if column in frame:
            yield from _numbers(frame, column)


def _numbers(frame: pd.DataFrame, column: str) -> Iterator[str]:
    """Yields the rows whose value, or list of values, is not what the column can hold."""
    for row, values in zip(frame["row"], frame[column], strict=True):
        listed = np.ndim(values) > 0
        if column in TOKEN_COLUMNS and not listed:
            if column == "log_probs":
                yield f"row {row!r}: {column} is {values!r}, not a list"
            continue
        problem = _problem(values if listed else [values], column)
        if problem:
            yield f"row {row!r}: {column} {problem}"


def _problem(values: Any, column: str) -> str:
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return f"is {values!r}, not a number"
    if not numbers.size:
        return "is empty: an answer without tokens"
    wrong = numbers[~np.isfinite(numbers)]
    if wrong.size:
        return f"is {wrong[0]}, not finite"
    if column in ("log_probs", MEAN) and numbers.max() > ROUNDING:
        return f"is {numbers.max():g}: the logarithm of a probability above 1"
    if column == "variances" and numbers.min() < -math.sqrt(ROUNDING):
        return f"is {numbers.min():g}, below 0"
    return ""
