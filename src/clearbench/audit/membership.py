"""Finds whether the people can be told apart from people whom the model never met."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from clearbench.attacks.roc import above, auc
from clearbench.audit.evidence import Evidence, units
from clearbench.audit.schema import Finding, Number
from clearbench.audit.words import between, count, of_track, percent
from clearbench.evaluation.intervals import clustered_error

APART, REVERSED, NOT_APART = "can be told apart", "is conspicuously unknown", "no difference seen"
OPEN = "cannot be concluded"


def membership(evidence: Evidence, track: str) -> Finding | None:
    """Finds the attack that tells the people apart best; None where none was made.

    With gold the areas under both curves are compared row by row (DeLong, by person: Obuchowski
    1997), and all attacks share the error (Bonferroni).
    """
    lines = {
        key: rows[rows["track"] == track]
        for key, rows in evidence.attacked.items()
        if set(rows.loc[rows["track"] == track, "split"]) == {"forget", "holdout"}
    }
    if not lines:
        return None
    titles = {made.key: made.title for made in evidence.attacks}
    found = {key: _area(titles.get(key, key), rows, evidence, 1) for key, rows in lines.items()}
    judged = {key: _area("", rows, evidence, len(lines)) for key, rows in lines.items()}
    aims = {key: _aim(number) for key, number in found.items()}
    strongest = max(found, key=lambda key: abs(found[key].value - aims[key]))
    word = _word(judged, aims)
    if word in (APART, REVERSED):
        clear = {key: each for key, each in judged.items() if _excludes(each, aims[key])}
        strongest = max(clear, key=lambda key: abs(found[key].value - aims[key]))
    number = found[strongest]
    sentence = (
        f"{of_track(track, evidence.tracks)}with '{number.name}', of {count(len(found), 'attack')} "
        f"the one that shows most, these people look better known to it than people never taught "
        f"in {percent(number.value)} of pairs"
    )
    ends = between(number.low, number.high)
    sentence += f" ({ends})" if ends else ""
    if number.gold is None:
        sentence += "; guessing would give 50 %, and what gold would give is not known"
    else:
        sentence += f"; to a model that never met them in {percent(number.gold)}"
    if word == REVERSED:
        sentence += ". So few are a trace, too: these people look less known than strangers"
    return Finding(
        topic="membership",
        word=word if evidence.gold else OPEN if word == NOT_APART else word,
        sentence=f"{sentence[:1].upper()}{sentence[1:]}.",
        numbers=tuple(found.values()),
    )


def _aim(number: Number) -> float:
    return 0.5 if number.gold is None else number.gold


def _excludes(number: Number, aim: float) -> bool:
    if number.low is None or number.high is None:
        return False
    return not number.low <= aim <= number.high


def _word(judged: Mapping[str, Number], aims: Mapping[str, float]) -> str:
    if all(number.low is None for number in judged.values()):
        return OPEN
    clear = [key for key, number in judged.items() if _excludes(number, aims[key])]
    if not clear:
        return NOT_APART
    strongest = max(clear, key=lambda key: abs(judged[key].value - aims[key]))
    return APART if judged[strongest].value > aims[strongest] else REVERSED


def _area(name: str, rows: pd.DataFrame, evidence: Evidence, tests: int) -> Number:
    """Computes the area under the curve; with gold the interval is that of the difference.

    The interval lies around the model's area and, with gold, is as wide as that of the difference
    from gold's, so that it excludes gold's area where the two differ.
    """
    members, others = (rows[rows["split"] == split] for split in ("forget", "holdout"))
    ours = _placements(members["run"], others["run"])
    gold = None if not evidence.gold else _placements(members["gold"], others["gold"])
    value = auc(members["run"], others["run"])
    errors, counts, unit = [], [], "people"
    for side, place in zip((members, others), (0, 1), strict=True):
        values = ours[place] if gold is None else ours[place] - gold[place]
        numbers, each = units(side, evidence.settings)
        unit = each if each == "questions" else unit
        keys = [str(k) for k in range(len(side))]
        people = dict(zip(keys, numbers.tolist(), strict=True))
        error, found = clustered_error(pd.Series(values, index=keys), people)
        errors.append(error)
        counts.append(found)
    least = min(counts)
    bounded = least >= 2
    level = 1 - (1 - evidence.settings.confidence) / 2 / tests
    reach = float(stats.t.ppf(level, least - 1) * math.hypot(*errors)) if bounded else 0.0
    return Number(
        name=name,
        value=value,
        low=max(value - reach, 0.0) if bounded else None,
        high=min(value + reach, 1.0) if bounded else None,
        gold=None if gold is None else auc(members["gold"], others["gold"]),
        rows=len(rows),
        people=int(rows["person"].nunique()),
        unit="questions" if unit == "questions" else "people",
    )


def _placements(members: pd.Series, others: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Computes each row's part of the area, of members and of others."""
    return np.asarray(above(members, others)), 1 - np.asarray(above(others, members))
