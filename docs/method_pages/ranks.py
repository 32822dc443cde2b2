"""Computes ranks of methods and their intervals, from paired differences over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from claims.figures import over_seeds


@dataclass(frozen=True)
class Rank:
    """A place among the methods.

    Attributes:
        place: 1 + number of methods with a smaller mean.
        best: 1 + number of methods that are surely better.
        worst: Number of methods that are not surely worse, itself among them.
    """

    place: int
    best: int
    worst: int

    def __str__(self) -> str:
        return f"{self.place} ({self.best} to {self.worst})"


#: A number for each seed, less being better; None for a seed without one.
Values = Sequence[float | None]


def ranks(values: Sequence[Values]) -> list[Rank]:
    """Computes the rank of each method and its interval.

    One method is surely better than another where the 95 % t interval of their paired difference
    over the seeds is below 0. Those of which a seed has no number share the last places.

    Args:
        values: Numbers of each method, over the same seeds.
    """
    better = [[_surely_better(one, other) for other in values] for one in values]
    means = [_mean(each) for each in values]
    return [
        Rank(
            place=1 + sum(mean < own for mean in means),
            best=1 + sum(row[number] for row in better),
            worst=len(values) - sum(better[number]),
        )
        for number, own in enumerate(means)
    ]


def _mean(values: Values) -> float:
    """Computes the mean; infinite where a seed has no number."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else float("inf")


def _surely_better(one: Values, other: Values) -> bool:
    if None in one:
        return False
    if None in other:
        return True
    pairs = zip(one, other, strict=True)
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    return over_seeds(differences).below_zero
