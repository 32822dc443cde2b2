"""Words numbers for people who read no tables: percentages, intervals, names of scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from clearbench.attacks.scoring import descriptions
from clearbench.audit.schema import Number
from clearbench.data.modality import modality
from clearbench.evaluation.verdict.evidence import LIKELIHOOD

_LIKELIHOOD_TITLE = "Probability of the true answers"


def percent(value: float) -> str:
    """Writes a share as a percentage, without a minus before zero."""
    text = f"{100 * value:.0f}"
    return f"{'0' if text == '-0' else text} %"


def between(low: float | None, high: float | None) -> str:
    """Writes the ends of an interval; nothing where there is none."""
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def with_interval(number: Number) -> str:
    """Writes a share with its interval in brackets."""
    ends = between(number.low, number.high)
    return f"{percent(number.value)} ({ends})" if ends else percent(number.value)


def of_track(track: str, tracks: Sequence[str]) -> str:
    """Writes on which modality something was found; nothing where there is one alone."""
    return "" if len(tracks) == 1 else f"{modality(track).heading or track}: "


def title(key: str) -> str:
    """Names a score by its metric's title."""
    name = key.rpartition(".")[2]
    if name == LIKELIHOOD:
        return _LIKELIHOOD_TITLE
    known = _descriptions().get(name)
    return name.replace("_", " ") if known is None else known


@cache
def _descriptions() -> dict[str, str]:
    return {name: found.title for name, found in descriptions().items()}


def count(number: int, one: str, more: str | None = None) -> str:
    """Writes a number of things: `1 person`, `3 people`."""
    return f"{number} {one if number == 1 else (more or one + 's')}"
