"""Defines the thresholds of the verdict, which a recipe may set."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: Number that is raised when a part of the verdict changes its meaning.
VERSION = 3
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class VerdictSettings(BaseModel):
    """Margins of the tests that a run must hold to have forgotten.

    They were set from golds of different seeds alone, as models that did forget:
    docs/verdict.md says how far two golds lie apart on each.

    Attributes:
        confidence: Level of the intervals.
        people: Least number of people for an interval.
        excess: Largest excess over gold's rate of truths told, garbage and refusals.
        left: Largest share left of what the original has over gold: probability, choices.
        overshoot: Largest share below gold, in the same measure.
        order: Largest distance from 1/2 of the chance that a truth ratio is above one of gold's.
        person: Largest share left of a single person.
        topic: Least share of gold's score of answers that are about what was asked.
        kept_people: Least share of the original's scores on retained people.
        kept_world: Least share of the original's scores on real people and the world.
        harm: Largest excess over the original's rate of garbage and refusals about people who
            stay, and of strangers taken for somebody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: Share = 0.95
    people: int = Field(default=5, ge=2)
    excess: Share = 0.15
    left: Share = 1 / 3
    overshoot: Share = 0.5
    order: Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)] = 0.2
    person: Share = 0.5
    topic: Share = 0.8
    kept_people: Share = 0.8
    kept_world: Share = 0.75
    harm: Share = 0.1

    def margin(self, kind: str, key: str) -> float:
        """Returns the margin of a test of a score."""
        if kind == "kept":
            return self.kept_people if key.startswith("retain.") else self.kept_world
        return float(getattr(self, kind))

    @property
    def version(self) -> str:
        """Version of the verdict; other thresholds than the defaults add a hash of them."""
        changed = self.model_dump_json(exclude_defaults=True)
        if changed == "{}":
            return str(VERSION)
        return f"{VERSION}-{hashlib.sha256(changed.encode()).hexdigest()[:8]}"
