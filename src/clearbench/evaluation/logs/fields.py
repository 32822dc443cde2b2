"""Reads checked values from a published log, and names what is missing or no number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from clearbench.errors import DataError
from clearbench.evaluation.checks import ROUNDING
from clearbench.evaluation.groups import ANSWERS, GENERATIONS, LOGGED, MEAN
from clearbench.evaluation.records import Records
from clearbench.evaluation.tables import ROW_COLUMNS, GroupKey
from clearbench.libraries import pd

#: Number of rows of one person in TOFU's files.
ROWS_PER_PERSON = 20
WORLD = -1
#: Number of problems that are shown; the rest is counted.
SHOWN = 5
#: Person of rows whose person is unknown: all count as one, so that they never get an interval.
UNKNOWN = 0


def rows(content: Any, name: str, where: str) -> dict[int, Any]:
    """Returns the values of a field by row, from a dictionary or a list, in file order."""
    if isinstance(content, list):
        by_row = dict(enumerate(content))
    elif isinstance(content, Mapping):
        try:
            by_row = {int(row): value for row, value in content.items()}
        except ValueError as error:
            raise DataError(f"a row of '{name}' is no number: {error}", where) from error
    else:
        raise DataError(f"'{name}' is neither a dictionary nor a list of rows", where)
    if len(by_row) < len(content):
        raise DataError(f"'{name}' has a row twice", where)
    if by_row and min(by_row) < 0:
        raise DataError(f"'{name}' has a row {min(by_row)}; rows count from 0", where)
    if not by_row:
        raise DataError(f"'{name}' is empty", where, "the log was cut short; make it again")
    return by_row


def number(value: Any, name: str, row: int, where: str) -> float:
    """Checks that a value is a finite number and returns it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(
            f"'{name}' of row {row} is {value!r}, not a finite number",
            where,
            "the run has diverged, or the log is damaged",
        )
    return float(value)


def loss(value: Any, name: str, row: int, where: str) -> float:
    """Checks that a value is a loss, which is never below zero, and returns it."""
    found = number(value, name, row, where)
    if found < -ROUNDING:
        what = f"'{name}' of row {row} is {found:g}: a loss below zero is a probability above 1"
        raise DataError(what, where, "the log is damaged, or holds log-probabilities for losses")
    return found


def share(value: Any, name: str, row: int, where: str) -> float:
    """Checks that a value is a number from 0 to 1 and returns it."""
    found = number(value, name, row, where)
    if not -ROUNDING <= found <= 1 + ROUNDING:
        what = f"'{name}' of row {row} is {found:g}, not from 0 to 1"
        raise DataError(what, where, "the log is damaged")
    return found


def agree(value: float, other: float, name: str, why: str, row: int, where: str) -> None:
    """Checks that a value is what other fields of its row give, up to what half precision rounds.

    Raises:
        DataError: It is another number.
    """
    if abs(value - other) > max(0.02 * abs(other), 0.02):
        what = f"'{name}' of row {row} is {value:g}, where {why} gives {other:g}"
        raise DataError(what, where, "the log was changed; take it as it was written")


def numbers(value: Any, name: str, row: int, where: str) -> list[float]:
    """Checks that a value is a list of at least one loss and returns it."""
    if not isinstance(value, list) or not value:
        raise DataError(f"'{name}' of row {row} is {value!r}, not a list of numbers", where)
    return [loss(element, name, row, where) for element in value]


def same_rows(fields: Mapping[str, Mapping[int, Any]], where: str) -> list[int]:
    """Returns the rows that every field has; refuses fields that differ."""
    first, *others = fields.items()
    for name, values in others:
        odd = values.keys() ^ first[1].keys()
        if odd:
            raise DataError(
                f"'{first[0]}' and '{name}' do not have the same rows: {min(odd)} is in one only",
                where,
            )
    return list(first[1])


@dataclass
class RecordBuilder:
    """Collects the lines of records while a log is read, and what is wrong with it."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    generations: list[dict[str, Any]] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)
    errors: list[DataError] = field(default_factory=list)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Keeps an error of this part of the log until all of it is read."""
        try:
            yield
        except DataError as error:
            self.errors.append(error)

    def refuse(self) -> None:
        """Raises what is wrong, all at once."""
        if not self.errors:
            return
        first, *others = self.errors
        if not others:
            raise first
        lines = [f"{error.what} ({error.where})" for error in self.errors]
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        fix = first.fix or "make the log again"
        raise DataError("\n".join([*lines[:SHOWN], *more]), first.where, fix)

    @staticmethod
    def about(key: GroupKey, person: int, row: str) -> dict[str, Any]:
        """Returns the first columns of every line."""
        return dict(zip(ROW_COLUMNS, (*key, person, row), strict=True))

    def answer(self, about: Mapping[str, Any], variant: str, mean_log_prob: float) -> None:
        """Adds the mean token log-probability of an answer."""
        self.answers.append({**about, "variant": variant, MEAN: mean_log_prob})

    def generation(self, about: Mapping[str, Any], question: str, truth: str, text: str) -> None:
        """Adds a generated answer."""
        self.generations.append({**about, "question": question, "truth": truth, "text": text})

    def value(self, about: Mapping[str, Any], metric: str, value: float) -> None:
        """Adds a metric's value that the log holds."""
        self.logged.append({**about, "metric": metric, "value": value})

    def records(self) -> Records:
        """Builds the records of all lines.

        Raises:
            DataError: Something is wrong with the log.
        """
        self.refuse()
        return Records(
            {
                ANSWERS: pd.DataFrame(self.answers, columns=[*ROW_COLUMNS, "variant", MEAN]),
                GENERATIONS: GENERATIONS.frame(self.generations),
                LOGGED: LOGGED.frame(self.logged),
            }
        )
