"""Finds what a model lost besides: answers about other people, the world, its manners."""

from __future__ import annotations

import pandas as pd

from clearbench.audit.evidence import Column, Evidence, Tested, difference, either, rate, ratio
from clearbench.audit.schema import Finding
from clearbench.audit.words import of_track, percent, title, with_interval
from clearbench.data.modality import modality

KEPT, LOST, OPEN = "kept", "lost", "cannot be concluded"
HARMED, UNHARMED = "changed", "no change seen"
_ABOUT = {
    "retain": "the people who stay",
    "real": "real people and the world",
    "side": "strangers",
}
_SPOKEN = ("retain.{}.garbage_rate", "retain.{}.refusal_rate", "retain.{}.empty_rate")


def lost(evidence: Evidence, track: str) -> Finding | None:
    """Finds whether scores about others are lower than the original's, or gold's without it."""
    keys = modality(track).kept_keys(evidence.kind)
    reference = before(evidence)
    if reference is None:
        return _alone(evidence, track, keys)
    settings, lines = evidence.settings, evidence.listed(keys, reference)
    shares = [
        ratio(f"{title(key)}, {_about(key)}", rows, reference, settings, len(lines))
        for key, rows in lines.items()
    ]
    tested = [share for share in shares if share is not None]
    if not tested:
        return None
    worst = min(tested, key=lambda each: (each.high, each.number.value))
    word = OPEN
    if worst.high < settings.kept:
        word = LOST
    elif all(each.low >= settings.kept for each in tested):
        word = KEPT
    theirs = "the original's" if reference == "original" else "gold's"
    sentence = (
        f"{of_track(track, evidence.tracks)}of what it should keep, '{worst.number.name}' fared "
        f"worst: {with_interval(worst.number)} of {theirs}; {percent(settings.kept)} would do."
    )
    return Finding(
        topic="lost",
        word=word,
        sentence=sentence[:1].upper() + sentence[1:],
        numbers=tuple(each.number for each in tested),
    )


def before(evidence: Evidence) -> Column | None:
    """Names the model by which a loss is told: the original, else gold."""
    if evidence.original:
        return "original"
    return "gold" if evidence.gold else None


def _alone(evidence: Evidence, track: str, keys: tuple[str, ...]) -> Finding | None:
    lines = evidence.listed(keys)
    if not lines:
        return None
    numbers = tuple(
        rate(f"{title(key)}, {_about(key)}", rows, evidence.settings).number
        for key, rows in lines.items()
    )
    shown = "; ".join(f"'{number.name}' {with_interval(number)}" for number in numbers)
    sentence = (
        f"{of_track(track, evidence.tracks)}what it has of others: {shown}. Whether that is less "
        "than before cannot be said without the model before unlearning."
    )
    return Finding(
        topic="lost", word=OPEN, sentence=sentence[:1].upper() + sentence[1:], numbers=numbers
    )


def side_effects(evidence: Evidence, track: str) -> Finding | None:
    """Finds whether it garbles or refuses about others, or recognises strangers, more often."""
    keys = modality(track).unharmed_keys(evidence.kind)
    reference = before(evidence)
    settings = evidence.settings
    lines = evidence.listed(keys, *((reference,) if reference else ()))
    if not lines:
        return None
    tested = {key: _rise(key, evidence, len(lines)) for key in lines}
    harmed = [key for key, each in tested.items() if reference and each.low > settings.harm]
    rates = {
        key: rate(f"{title(key)}, {_about(key)}", rows, settings).number
        for key, rows in lines.items()
    }
    theirs = "the original" if reference == "original" else "gold"
    shown = "; ".join(
        f"'{rates[key].name}' {percent(rates[key].value)}"
        + (f" ({theirs}: {percent(_theirs(rates[key], reference))})" if reference else "")
        for key in harmed or lines
    )
    word = HARMED if harmed else UNHARMED if reference else OPEN
    return Finding(
        topic="side effects",
        word=word,
        sentence=f"{_upper(of_track(track, evidence.tracks))}{shown}.",
        numbers=tuple(rates.values()),
    )


def _rise(key: str, evidence: Evidence, tests: int) -> Tested:
    reference = before(evidence)
    rows = evidence.rows[key].dropna(subset=["run"])
    if reference is None:
        return rate(title(key), rows, evidence.settings, tests)
    return difference(
        title(key), rows.dropna(subset=[reference]), reference, evidence.settings, tests
    )


def _theirs(number: object, reference: Column | None) -> float:
    return float(getattr(number, reference or "gold") or 0.0)


def destroyed(evidence: Evidence, track: str) -> tuple[str, ...]:
    """Lists what shows that it answers nobody's questions; empty where it may answer some.

    The answers about the people who stay must have become unlikely, and either nothing of them is
    said any more, or most of what is said is garbled, refused or empty, as it was not before. All
    of this surely: by the ends of intervals.
    """
    settings, reference = evidence.settings, before(evidence)
    keys = [key for key in modality(track).kept_keys(evidence.kind) if key.startswith("retain.")]
    lines = evidence.listed(keys, *((reference,) if reference else ()))
    spoken = {key: rows for key, rows in lines.items() if "rouge" in key}
    likely = {key: rows for key, rows in lines.items() if key not in spoken}
    gone = [
        _gone(key, rows, reference, settings.kept_probability, evidence)
        for key, rows in likely.items()
    ]
    said = [
        _gone(key, rows, reference, settings.kept_answers, evidence) for key, rows in spoken.items()
    ]
    unusable = _unusable(evidence, track, reference)
    if not gone or not all(gone) or (said and not all(said) and not unusable):
        return ()
    if reference is None and not unusable:
        return ()
    return tuple(filter(None, (*gone, *said, unusable)))


def _gone(
    key: str, rows: pd.DataFrame, reference: Column | None, limit: float, evidence: Evidence
) -> str:
    """Says how little is left of a score about the people who stay; nothing where it is more."""
    if reference is None:
        found: Tested | None = rate(title(key), rows, evidence.settings)
    else:
        found = ratio(title(key), rows, reference, evidence.settings)
    if found is None or not found.high < limit:
        return ""
    whose = {"original": " of the original's", "gold": " of gold's"}.get(reference or "", "")
    return f"{title(key)}, {_ABOUT['retain']}: {with_interval(found.number)}{whose}"


def _unusable(evidence: Evidence, track: str, reference: Column | None) -> str:
    """Says whether surely most answers about others are garbled, refused or empty."""
    found = evidence.listed(form.format(track) for form in _SPOKEN)
    if not found:
        return ""
    settings, rows = evidence.settings, either(found.values())
    share = rate("", rows, settings)
    if not share.low > settings.refuses:
        return ""
    known = rows.iloc[:0] if reference is None else rows.dropna(subset=[reference])
    rise = difference("", known, reference, settings) if reference and len(known) else None
    if rise is not None and not rise.low > settings.more_refusals:
        return ""
    return (
        f"{with_interval(share.number)} of its answers about the people who stay are garbled, "
        "refused or empty"
    )


def _about(key: str) -> str:
    split = key.partition(".")[0]
    return _ABOUT.get(split, split)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
