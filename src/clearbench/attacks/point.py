"""Defines the points of an attack's curve."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from clearbench.evaluation.score import Score


class Point(BaseModel):
    """One level of an attack on a curve.

    Attributes:
        level: Name of the level, such as a number of steps.
        value: What the attacked model knows of the forgotten people.
        recovery: Its place between gold (0) and the original (1), all three attacked alike; None
            where it cannot be said.
        gold: What gold knows; None without gold.
        original: What the original knows; None without it.
        retain: What the attacked model knows of the retained people; None where not measured.
        why: Reason why there is no recovery; empty where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: str
    value: Score
    recovery: Score | None = None
    gold: Score | None = None
    original: Score | None = None
    retain: Score | None = None
    why: str = ""
