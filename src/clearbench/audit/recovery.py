"""Finds what attacks bring back of what the original knew beyond gold."""

from __future__ import annotations

from collections.abc import Iterator

from scipy import stats

from clearbench.audit.evidence import Evidence
from clearbench.audit.schema import Finding, MadeAttack, Number
from clearbench.audit.words import count, of_track, percent, with_interval
from clearbench.evaluation.score import Score

RECOVERED, NOTHING_BACK, OPEN = "comes back", "nothing came back", "cannot be concluded"
#: Ends of the keys of scores that are recoveries: 0 is gold, 1 the original.
ENDS = ("_recovery", "_recovery_worst")


#: An attack, the last part of the key of one of its recoveries, and the recovery.
Recovery = tuple[MadeAttack, str, Score]


def recoveries(evidence: Evidence, track: str) -> Iterator[Recovery]:
    """Yields the recoveries of all attacks on a track."""
    for made in evidence.attacks:
        for key, score in made.scores.items():
            if key.split(".")[1] == track and key.endswith(ENDS):
                yield made, key.rpartition(".")[2], score


def recovery(evidence: Evidence, track: str) -> Finding | None:
    """Finds the strongest attack by the lower end of its recovery; None where none was made.

    All attacks share the error of the intervals by which the word is found (Bonferroni).
    """
    found = list(recoveries(evidence, track))
    if not found:
        return _without(evidence, track)
    settings = evidence.settings
    widened = [lower_end(score, len(found), evidence) for *_, score in found]
    known = [low for low in widened if low is not None]
    ranked = sorted(zip(found, widened, strict=True), key=lambda entry: _rank(*entry))
    low = ranked[-1][1]
    numbers = tuple(_number(*entry) for entry, _ in reversed(ranked))
    sentence = (
        f"{of_track(track, evidence.tracks)}attacked, it gives back "
        f"{with_interval(numbers[0])} of what the original knew beyond a model that never met the "
        f"people; the strongest of {count(len(found), 'measure')} is '{numbers[0].name}' (0 %: "
        "like that model under the same attack; 100 %: like the original)."
    )
    upper = [score.high for *_, score in found if score.high is not None]
    word = NOTHING_BACK if known and max(upper) <= settings.left else OPEN
    because: tuple[str, ...] = ()
    if low is not None and low > settings.left:
        word = RECOVERED
        because = (
            f"'{numbers[0].name}' recovers {with_interval(numbers[0])}; more than "
            f"{percent(settings.left)} is evidence",
        )
    return Finding(
        topic="recovery",
        word=word,
        sentence=sentence[:1].upper() + sentence[1:],
        because=because,
        numbers=numbers,
    )


def _without(evidence: Evidence, track: str) -> Finding | None:
    """Says why there is no recovery where attacks were made that might have given one."""
    missing = [name for name, there in _REFERENCES if not getattr(evidence, there)]
    if not missing:
        return None
    curves = [curve for made in evidence.attacks for curve in made.curves if curve.track == track]
    reached = max((p.value.value for curve in curves for p in curve.points), default=None)
    sentence = (
        f"{of_track(track, evidence.tracks)}how much attacks bring back cannot be said without "
        f"{' and '.join(missing)}"
    )
    if reached is not None:
        sentence += f"; the true answers have at most {percent(reached)} probability under them"
    return Finding(topic="recovery", word=OPEN, sentence=f"{sentence[:1].upper()}{sentence[1:]}.")


_REFERENCES = (
    ("a model that never met the people", "gold"),
    ("the model before unlearning", "original"),
)


def lower_end(score: Score, tests: int, evidence: Evidence) -> float | None:
    """Computes the lower end of a score's interval, widened so that tests share its error."""
    if score.low is None:
        return None
    confidence, degrees = evidence.settings.confidence, max(score.clusters - 1, 1)
    own = float(stats.t.ppf((1 + confidence) / 2, degrees))
    shared = float(stats.t.ppf(1 - (1 - confidence) / 2 / tests, degrees))
    return score.value - (score.value - score.low) * shared / own


def _rank(entry: Recovery, low: float | None) -> tuple[float, float]:
    return (float("-inf") if low is None else low, entry[2].value)


def _number(made: MadeAttack, key: str, score: Score) -> Number:
    return Number(
        name=made.titles.get(key, made.title),
        value=score.value,
        scale="place",
        low=score.low,
        high=score.high,
        rows=score.n,
        people=score.clusters,
        unit=made.unit,
    )
