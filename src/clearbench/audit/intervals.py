"""Gives a number one interval: that of the finding, wherever the audit shows the number again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from clearbench.audit.evidence import Evidence, rate
from clearbench.audit.schema import Finding, MadeAttack, Number
from clearbench.evaluation.score import Score


def attacks_as_found(
    attacks: Iterable[MadeAttack], findings: Iterable[Finding]
) -> tuple[MadeAttack, ...]:
    """Gives areas under curves the intervals of the findings on membership.

    Args:
        attacks: Attacks that were made.
        findings: Findings of the audit.
    """
    numbers = [number for each in findings if each.topic == "membership" for number in each.numbers]
    return tuple(
        made.model_copy(
            update={
                "scores": {
                    key: _with(score, _named(numbers, made.title, score))
                    if key.endswith("_auc")
                    else score
                    for key, score in made.scores.items()
                }
            }
        )
        for made in attacks
    )


def scores_as_found(scores: Mapping[str, Score], evidence: Evidence) -> dict[str, Score]:
    """Gives scores that findings rest on the intervals of those findings."""
    found = {}
    for key, score in scores.items():
        rows = evidence.of(key)
        number = None if rows is None else rate("", rows, evidence.settings).number
        found[key] = _with(score, number)
    return found


def _named(numbers: Sequence[Number], name: str, score: Score) -> Number | None:
    same = (each for each in numbers if each.name == name and math.isclose(each.value, score.value))
    return next(same, None)


def _with(score: Score, number: Number | None) -> Score:
    if number is None or not math.isclose(number.value, score.value, abs_tol=1e-9):
        return score
    return score.model_copy(update={"low": number.low, "high": number.high})
