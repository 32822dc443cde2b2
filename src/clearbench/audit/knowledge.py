"""Finds what a model tells of the people, and what it knows of them whatever it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from clearbench.audit.evidence import (
    Evidence,
    Tested,
    difference,
    distinct,
    either,
    rate,
    ratio,
    share_left,
)
from clearbench.audit.schema import Finding, Number
from clearbench.audit.words import count, of_track, percent, title, with_interval
from clearbench.data.modality import modality
from clearbench.evaluation.verdict.evidence import LIKELIHOOD, SPOKEN
from clearbench.evaluation.verdict.judge import RATES, TOPIC

TELLS, TELLS_NOTHING, OPEN = "tells", "tells nothing", "cannot be concluded"
KNOWS, PART, SHUNS = "knows", "knows a part", "less than a model that never met them"
NO_MORE = "no more than a model that never met them"
ANSWERS, REFUSES, SILENT, UNLIKE = "answers", "refuses", "does not answer", "answers unlike gold"
#: Rates of true answers that no template gives by itself: the first ones that were measured count.
WHOLE = ("whole_truth", "name_said")


def told(evidence: Evidence, track: str) -> Finding | None:
    """Finds whether the model tells the truth when it is asked; None where it says no words."""
    keys = [key for key in _judged(evidence, track) if _name(key) in RATES]
    spoken = [key for key in keys if _name(key) not in SPOKEN]
    counted = [key for key in spoken if evidence.gold or _name(key) in WHOLE]
    lines = evidence.listed(counted, *(("gold",) if evidence.gold else ()))
    if not lines:
        return None
    whole = next((key for key in lines if _name(key) in WHOLE), next(iter(lines)))
    shown = rate(title(whole), lines[whole], evidence.settings).number
    tested = [_told(key, rows, evidence, len(lines)) for key, rows in lines.items()]
    above = [each for each in tested if each.low > evidence.settings.told]
    numbers = (shown, *(each.number for each in tested if each.number.name != shown.name))
    said = (
        f"{of_track(track, evidence.tracks)}asked about the people, it tells "
        f"{_of(lines[whole])} true answers in full, {with_interval(shown)}"
    )
    if shown.gold is not None:
        said += f"; a model that never met them tells {percent(shown.gold)}"
    because = tuple(_beyond(each, evidence) for each in above)
    word = TELLS if above else TELLS_NOTHING
    if not above and not evidence.gold:
        word = OPEN if shown.value > 0 else TELLS_NOTHING
    return Finding(
        topic="told", word=word, sentence=f"{_upper(said)}.", because=because, numbers=numbers
    )


def _told(key: str, rows: pd.DataFrame, evidence: Evidence, tests: int) -> Tested:
    if evidence.gold:
        return difference(f"{title(key)}, beyond gold", rows, "gold", evidence.settings, tests)
    return rate(title(key), rows, evidence.settings, tests)


def _of(rows: pd.DataFrame) -> str:
    return f"{int(rows['run'].sum())} of {len(rows)}"


def _beyond(tested: Tested, evidence: Evidence) -> str:
    name, size = tested.number.name, with_interval(tested.number)
    least = percent(evidence.settings.told)
    if evidence.gold:
        return f"{name}: {size}; more than {least} is evidence"
    return f"{name}: {size}; more than {least} is evidence, by convention"


def known(evidence: Evidence, track: str) -> Finding | None:
    """Finds whether true answers are likelier than for a model that never met the people."""
    keys = [
        key for key in _judged(evidence, track) if _name(key) not in RATES and _name(key) != TOPIC
    ]
    keys = list(dict.fromkeys((*keys, f"forget.{track}.{LIKELIHOOD}")))
    if evidence.gold and evidence.original:
        return _left(evidence, track, distinct(evidence.listed(keys, "gold", "original")))
    if evidence.gold:
        return _likelier(evidence, track, distinct(evidence.listed(keys, "gold")))
    return _likely(evidence, track)


def _left(evidence: Evidence, track: str, lines: Mapping[str, pd.DataFrame]) -> Finding | None:
    """Finds what is left of what the original has over gold."""
    settings = evidence.settings
    shares = [share_left(title(key), rows, settings, len(lines)) for key, rows in lines.items()]
    tested = [share for share in shares if share is not None]
    if not tested:
        if not lines:
            return None
        sentence = (
            "Nothing can be said of likelihoods: the original found the true answers no likelier "
            "than a model that never met the people."
        )
        return Finding(topic="known", word=OPEN, sentence=sentence)
    strongest = max(tested, key=lambda each: (each.low, each.number.value))
    shunned = min(tested, key=lambda each: each.high)
    sharpest = min(tested, key=lambda each: each.high - each.low).number
    least = sharpest.high is not None and sharpest.high <= settings.left
    word, named = (NO_MORE, Tested(sharpest, 0.0, 0.0)) if least else (OPEN, strongest)
    if strongest.low > settings.left:
        word, named = (KNOWS if strongest.low > settings.most else PART), strongest
    elif shunned.high < -settings.overshoot:
        word, named = SHUNS, shunned
    sentence = f"{of_track(track, evidence.tracks)}{_place(named.number)}"
    because = tuple(
        f"{each.number.name}: {with_interval(each.number)}; more than {percent(settings.left)} is "
        "evidence"
        for each in tested
        if each.low > settings.left
    )
    return _known(word, sentence, because, (each.number for each in tested))


def _place(number: Number) -> str:
    """Words a place between gold and the original, which below gold is no share of anything."""
    if number.value >= 0:
        return (
            f"whatever it says, {with_interval(number)} is left of what the original knew beyond a "
            f"model that never met the people, by '{number.name}' (0 %: like that model; 100 %: "
            "like the original)."
        )
    surely = number.high is not None and number.high < 0
    less = "less likely than in" if surely else "no likelier than in"
    return (
        f"whatever it says, the true answers are {less} a model that never met the people, by "
        f"'{number.name}': {with_interval(number)} on a scale where 0 % is that model and 100 % "
        "the original."
    )


def _likelier(evidence: Evidence, track: str, lines: Mapping[str, pd.DataFrame]) -> Finding | None:
    """Finds whether scores lie above gold's, without an original to say how much there was."""
    if not lines:
        return None
    settings = evidence.settings
    tested = [
        difference(f"{title(key)}, beyond gold", rows, "gold", settings, len(lines))
        for key, rows in lines.items()
    ]
    above = [each for each in tested if each.low > settings.likelier]
    below = [each for each in tested if each.high < -settings.likelier]
    named = max(above or tested, key=lambda each: (each.low, each.number.value))
    sharpest = min(tested, key=lambda each: each.high - each.low)
    word = PART if above else OPEN
    if not above and below:
        word, named = SHUNS, min(below, key=lambda each: each.high)
    elif not above and (sharpest.number.high or 1.0) <= settings.likelier:
        word, named = NO_MORE, sharpest
    sentence = (
        f"{of_track(track, evidence.tracks)}whatever it says, '{named.number.name}' is "
        f"{with_interval(named.number)}; how much of it was there before cannot be said without "
        "the original."
    )
    because = tuple(
        f"{each.number.name}: {with_interval(each.number)}; more than {percent(settings.likelier)} "
        "is evidence"
        for each in above
    )
    return _known(word, sentence, because, (each.number for each in tested))


def _likely(evidence: Evidence, track: str) -> Finding | None:
    """Finds whether true answers are likely in themselves, or as likely as in the original."""
    rows = evidence.of(f"forget.{track}.{LIKELIHOOD}")
    if rows is None:
        return None
    settings = evidence.settings
    tests = 2 if evidence.original else 1
    alone = rate(title(LIKELIHOOD), rows, settings, tests)
    numbers, because = [alone.number], []
    if alone.low > settings.likely:
        because.append(
            f"true answers have a probability of {with_interval(alone.number)} per token; more "
            f"than {percent(settings.likely)} is evidence, by convention"
        )
    sentence = (
        f"{of_track(track, evidence.tracks)}whatever it says, the true answers have a probability "
        f"of {with_interval(alone.number)} per token"
    )
    both = evidence.of(f"forget.{track}.{LIKELIHOOD}", "original") if evidence.original else None
    kept = None if both is None else ratio("of the original's", both, "original", settings, tests)
    if kept is not None:
        numbers.append(kept.number)
        sentence += f", {with_interval(kept.number)} of the original's"
        if kept.low > settings.as_before:
            because.append(
                f"that is {with_interval(kept.number)} of the original's; more than "
                f"{percent(settings.as_before)} is evidence, by convention"
            )
    word = KNOWS if because else OPEN
    sentence += ". What a model that never met the people would give is not known."
    return _known(word, sentence, tuple(because), numbers)


def _known(
    word: str, sentence: str, because: tuple[str, ...], numbers: Iterable[Number]
) -> Finding:
    return Finding(
        topic="known", word=word, sentence=_upper(sentence), because=because, numbers=tuple(numbers)
    )


def refusals(evidence: Evidence, track: str) -> Finding | None:
    """Finds whether the model declines, says nothing or says nonsense about the people."""
    keys = {name: f"forget.{track}.{name}" for name in SPOKEN}
    lines = {name: rows for name, key in keys.items() if (rows := evidence.of(key)) is not None}
    if not lines:
        return None
    settings = evidence.settings
    rates = {name: rate(title(name), rows, settings).number for name, rows in lines.items()}
    shares = ", ".join(f"{_SAID[name]} {percent(number.value)}" for name, number in rates.items())
    sentence = f"{of_track(track, evidence.tracks)}of its answers about the people it {shares}"
    golds = [number.gold for number in rates.values()]
    if all(value is not None for value in golds):
        theirs = ", ".join(percent(value or 0.0) for value in golds)
        sentence += f" (a model that never met them: {theirs})"
    unanswered = either(lines.values())
    numbers = [*rates.values(), rate("Not answered", unanswered, settings).number]
    refused = lines.get("refusal_rate")
    if refused is not None and _refuses(refused, rates["refusal_rate"], evidence):
        word = REFUSES
    else:
        word = _answers(unanswered, evidence)
    return Finding(
        topic="refusals", word=word, sentence=f"{_upper(sentence)}.", numbers=tuple(numbers)
    )


_SAID = {"garbage_rate": "garbles", "refusal_rate": "refuses", "empty_rate": "leaves empty"}


def _refuses(rows: pd.DataFrame, shown: Number, evidence: Evidence) -> bool:
    if shown.value < evidence.settings.refuses:
        return False
    if not evidence.gold or rows["gold"].hasnans:
        return True
    excess = difference("refusals, beyond gold", rows, "gold", evidence.settings)
    return excess.low > evidence.settings.more_refusals


def _answers(unanswered: pd.DataFrame, evidence: Evidence) -> str:
    """Finds the word of a model that does not refuse; with gold it depends on gold's answers."""
    most = float(unanswered["run"].mean()) >= evidence.settings.refuses
    if not evidence.gold or unanswered["gold"].hasnans:
        return SILENT if most else ANSWERS
    excess = difference("not answered, beyond gold", unanswered, "gold", evidence.settings)
    if most and excess.low > evidence.settings.more_refusals:
        return SILENT
    return UNLIKE if excess.low > 0 or excess.high < 0 else ANSWERS


def asked(evidence: Evidence, track: str) -> str:
    """Writes how many questions about how many people were asked."""
    rows = evidence.of(f"forget.{track}.{LIKELIHOOD}")
    if rows is None:
        return "no questions"
    people = count(rows["person"].nunique(), "person", "people")
    return f"{count(len(rows), 'question')} about {people}"


def _judged(evidence: Evidence, track: str) -> tuple[str, ...]:
    return modality(track).judged_keys(evidence.kind)


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
