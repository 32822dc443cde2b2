"""Lists what a reader of evidence must know with it: harm, and what was doubtful from the start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clearbench.audit.losses import HARMED
from clearbench.audit.schema import AuditedAnswer
from clearbench.audit.settings import AuditSettings
from clearbench.audit.words import count, of_track, percent
from clearbench.evidence.found import (
    FLOORS,
    Found,
    garbled_share,
    probability,
    surely_garbled,
    told,
)
from clearbench.evidence.schema import Known, Warned
from clearbench.evidence.search import GARBLED, NEAR

#: Place from which, with as many true answers told, nothing or next to nothing has changed.
UNCHANGED = 0.9
#: Rows that a sentence names at most, and letters of an answer that it quotes.
_SHOWN, _QUOTED = 3, 60


def warnings(found: Found) -> tuple[Warned, ...]:
    """Lists what a reader must know, the worst first."""
    return (
        *_unchanged(found),
        *_garbled(found),
        *_still(found),
        *_hurt(found),
        *_side_effects(found),
        *_overshoot(found),
        *_unlearnable(found),
        *_of_schedule(found),
    )


def _unchanged(found: Found) -> Iterator[Warned]:
    if found.guarded and found.same:
        sentence = (
            "The weights are unchanged: nothing was removed from them. A guard lies beside them, "
            "and only clearbench applies it; any other program that loads this folder answers as "
            "before (GUARD.txt)."
        )
        yield Warned(kind="guard", sentence=sentence)
    elif found.same:
        yield Warned(
            kind="nothing changed", sentence="Nothing changed: the weights are those of before."
        )
    else:
        before, now, _ = told(found.audit.answers)
        places = [level.place for level in found.levels if level.place is not None]
        if places and min(places) >= UNCHANGED and now >= UNCHANGED * before:
            sentence = (
                f"Nothing, or next to nothing, changed: it tells {now} of the {before} true "
                "answers that it told, and finds them about as likely as before. The method, its "
                "strength or the number of steps does not fit this model."
            )
            yield Warned(kind="nothing changed", sentence=sentence)


def _garbled(found: Found) -> Iterator[Warned]:
    surely = surely_garbled(found)
    for track, score in found.scores("forget", "garbage_rate"):
        if score.value - (score.original or 0.0) <= GARBLED and score not in surely:
            continue
        example = _example(each for each in found.audit.answers if each.track == track)
        quoted = f", such as '{example}'" if example else ""
        sentence = (
            f"{of_track(track, found.tracks)}{garbled_share(score)} are garbled{quoted} (before: "
            f"{percent(score.original or 0.0)}). That is damage, not forgetting: whoever reads "
            "this sees that something was removed. Fewer steps, a smaller learning rate or another "
            "method may help."
        )
        yield Warned(kind="garbled", sentence=sentence[:1].upper() + sentence[1:])


def _example(answers: Iterable[AuditedAnswer]) -> str:
    for each in answers:
        if each.garbled:
            text = " ".join(each.answer.split())
            return text if len(text) <= _QUOTED else text[:_QUOTED] + "…"
    return ""


def _still(found: Found) -> Iterator[Warned]:
    before, now, asked = told(found.audit.answers)
    if now and not any(each.kind == "nothing changed" for each in _unchanged(found)):
        sentence = (
            f"It still tells {now} of {asked} true answers about the people to forget in full "
            f"(before: {before})."
        )
        yield Warned(kind="still told", sentence=sentence)


def _hurt(found: Found) -> Iterator[Warned]:
    limits: AuditSettings = found.audit.settings
    shares = [
        (f"their {words} on {track}", score.value / (score.original or 1.0))
        for name, words in (("probability", "probability"), ("rouge_l", "words (ROUGE-L)"))
        for track, score in found.scores("retain", name)
        if score.original
    ]
    before, now, _ = told(found.audit.others)
    if before:
        shares.append(("the true answers told in full", now / before))
    lost = [f"{percent(share)} of {words}" for words, share in shares if share < limits.kept]
    garbled = [
        f"{percent(score.value)} of them are garbled"
        for _, score in found.scores("retain", "garbage_rate")
        if score.value - (score.original or 0.0) > GARBLED
    ]
    if lost:
        sentence = (
            f"Answers about those who stay were hurt: they kept {', '.join(lost)}; "
            f"{percent(limits.kept)} would do."
        )
        yield Warned(kind="others hurt", sentence=sentence)
    if garbled:
        sentence = f"Answers about those who stay were hurt: {' and '.join(garbled)}."
        yield Warned(kind="others hurt", sentence=sentence)


def _side_effects(found: Found) -> Iterator[Warned]:
    for each in found.audit.about("side effects"):
        if each.word == HARMED:
            yield Warned(kind="side effects", sentence=f"Something else changed: {each.sentence}")


def _overshoot(found: Found) -> Iterator[Warned]:
    for level in found.levels:
        if level.place is not None and level.place < -NEAR:
            sentence = (
                f"{of_track(level.track, found.tracks)}the true answers are far less likely now "
                f"({probability(level.now)} per token) than {FLOORS[level.source]} were before "
                f"({probability(level.floor)}): to be avoided so surely is a trace, too."
            )
            yield Warned(kind="overshoot", sentence=sentence[:1].upper() + sentence[1:])


def _unlearnable(found: Found) -> Iterator[Warned]:
    yield from before_work(found.known, found.no_retain, found.audit.asked["forget"].people)


def before_work(known: Known, no_retain: bool, people: int) -> Iterator[Warned]:
    """Yields what can be known to be doubtful before a model is changed.

    Args:
        known: Rows to forget that the model knew, or did not.
        no_retain: Whether no rows to keep were given.
        people: Number of people to forget who are reported.
    """
    least = AuditSettings().people
    if known.unknown:
        many, shown = len(known.unknown), ", ".join(known.unknown[:_SHOWN])
        rest = f" and {many - _SHOWN} more" if many > _SHOWN else ""
        which = "any" if many == known.rows else f"{many} of {known.rows}"
        sentence = (
            f"The model did not know {which} of the rows to forget ({shown}{rest}): it finds their "
            "answers no likelier than a guess and does not tell them. There is nothing of them to "
            "forget, and training against them may harm the rest."
        )
        yield Warned(kind="never known", sentence=sentence)
    if people < least:
        sentence = (
            f"Only {count(people, 'person', 'people')} to forget: what is measured holds for these "
            f"questions alone, and says nothing of people in general (that takes {least} or more)."
        )
        yield Warned(kind="few", sentence=sentence)
    if no_retain:
        sentence = (
            "No rows to keep were given: nothing holds the rest of the model in place while it "
            "forgets, and nothing shows what was lost. Give --retain FILE with rows about others."
        )
        yield Warned(kind="no rows to keep", sentence=sentence)


def _of_schedule(found: Found) -> Iterator[Warned]:
    schedule = found.schedule
    if schedule.trials and not schedule.apart:
        sentence = (
            f"The schedule was chosen on the same {count(schedule.people, 'person', 'people')} who "
            "are reported, because they are too few to divide: the numbers about them are somewhat "
            "better than they would be for others."
        )
        yield Warned(kind="schedule", sentence=sentence)
    chosen = next((t for t in schedule.trials if t.number == schedule.chosen), None)
    if chosen is not None and chosen.reason:
        sentence = (
            f"None of {count(len(schedule.trials), 'trial')} was good enough on the validation "
            f"people; of the one chosen: {chosen.reason}. A larger --budget, another --method or "
            "--set steps=... may do better."
        )
        yield Warned(kind="schedule", sentence=sentence)
