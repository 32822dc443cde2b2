"""Defines what a worker process tells its parent."""

from __future__ import annotations

from dataclasses import dataclass

from clearbench.runs.stage import StageOutcome


@dataclass(frozen=True)
class Progress:
    """Progress of a stage."""

    doing: str
    done: int
    total: int


@dataclass(frozen=True)
class Ended:
    """Outcome of a stage; None where another process is making it."""

    outcome: StageOutcome | None


@dataclass(frozen=True)
class CannotWrite:
    """A place that cannot be written, where no other stage could be kept either."""

    what: str
    where: str
    fix: str


Message = Progress | Ended | CannotWrite
