"""Defines scores: of one run, over several seeds, and the band of golds of different seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

Direction = Literal["up", "down", "gold"]
#: Lower and upper bound; None where there is no bound.
Range = tuple[float | None, float | None]


class Score(BaseModel):
    """One measured number, with its interval, counts, direction and version.

    Attributes:
        low: Lower end of the 95 % interval, clustered by person; None under 5 people.
        n: Number of rows.
        clusters: Number of people (of rows, where they are about the world).
        direction: Good direction: `up`, `down`, or `gold` where gold's value is the goal.
        gold: Value of the gold model, when known.
        statistic: Test statistic of a p-value.
        chance: Value of guessing, where one of several options is chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None
    n: int
    clusters: int
    direction: Direction
    range: Range = (0.0, 1.0)
    gold: float | None = None
    original: float | None = None
    statistic: float | None = None
    chance: float | None = None
    version: int = 1


class Combined(Score):
    """A score over several seeds: the mean of `value`, `gold` and `original`.

    Attributes:
        seeds: Number of seeds.
        spread: Standard deviation over seeds; None for one.
        low: Lower end of a 95 % interval; None under three seeds or five people.
    """

    seeds: int
    spread: float | None = None


@dataclass(frozen=True)
class Band:
    """The range of a score between golds of different seeds, where nothing is left to forget.

    Of n golds the gap holds one more retrained model with a probability of at least 1 - 1/n: as
    draws of one distribution, each is equally often the one farthest from the reference.

    Attributes:
        low: Smallest value over the pairs.
        high: Largest value over the pairs.
        gap: Largest distance between two golds' values.
        pairs: Ordered pairs behind it.
    """

    low: float
    high: float
    gap: float
    pairs: int

    def holds(self, value: float, gold: float) -> bool:
        """Whether a model is as near to gold as another gold is."""
        return abs(value - gold) <= self.gap
