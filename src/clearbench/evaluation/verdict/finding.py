"""Defines findings: outcomes of the tests of a verdict."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: `excess` compares a rate with gold's, `left` what is left between gold and original, `order` the
#: ranks of truth ratios, `person` what is left of each person, `kept` a ratio to the original, and
#: `harm` a rate with the original's.
Kind = Literal["excess", "left", "order", "person", "topic", "kept", "harm"]
Outcome = Literal["holds", "fails", "open"]
Reference = Literal["gold", "original"]


class Finding(BaseModel):
    """Outcome of one test.

    Attributes:
        outcome: `holds` or `fails` where the interval lies on one side of the margin, else `open`.
        run: Mean of the run's values; `gold` and `original` are theirs.
        estimate: Tested number: an excess, a share left, a ratio, a chance.
        margin: Largest number that holds; for `kept` and `topic` the least, for `order` the largest
            distance from 1/2.
        least: Smallest number that holds, of `left`, beside the margin.
        rows: Number of rows; 0 where it was not measured.
        people: Number of people (of rows about the world).
        needed: Number of people that would decide it, by the present spread; None where it is
            decided, or no number would.
        who: People who fail a test of single people.
        reference: Model that the tested number compares with, where a test chooses between two.
        reason: Words on why it is open, where the interval does not say it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: Kind
    outcome: Outcome
    margin: float
    least: float | None = None
    run: float | None = None
    gold: float | None = None
    original: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    people: int = 0
    needed: int | None = None
    who: tuple[int, ...] = Field(default=())
    reference: Reference | None = None
    reason: str = ""
