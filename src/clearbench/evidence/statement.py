"""Words what unlearning did: a first statement, what must be known with it, what is not shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clearbench.audit.conclusion import NOT_TRIED
from clearbench.audit.losses import HARMED
from clearbench.audit.schema import Audit, AuditedAnswer
from clearbench.audit.settings import AuditSettings
from clearbench.audit.words import count, of_track, percent
from clearbench.data.modality import modalities, modality
from clearbench.evaluation.metrics.leaks import WHOLE
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.score import Score
from clearbench.evidence.schema import FloorSource, Known, Level, Schedule, Warned
from clearbench.evidence.search import GARBLED, NEAR

#: Place from which, with as many true answers told, nothing or next to nothing has changed.
UNCHANGED = 0.9
#: Rows that a sentence names at most, and letters of an answer that it quotes.
_SHOWN, _QUOTED = 3, 60
FLOORS: dict[FloorSource, str] = {
    "holdout": "true answers about people whom it was never taught",
    "invented names": "the same answers under names that nobody bears",
    "other answers": "answers to other questions in their place",
}


@dataclass(frozen=True)
class Found:
    """All that the words rest on.

    Attributes:
        audit: Audit of the model after unlearning, with the one before it as original.
        same: Whether the weights are those of before.
        guarded: Whether a guard stands in front of the weights.
        no_retain: Whether no rows to keep were given.
    """

    audit: Audit
    levels: tuple[Level, ...]
    schedule: Schedule
    known: Known
    same: bool = False
    guarded: bool = False
    no_retain: bool = False

    @property
    def tracks(self) -> tuple[str, ...]:
        """Modalities that were to be forgotten."""
        return tuple(level.track for level in self.levels)

    def scores(self, split: str, name: str) -> list[tuple[str, Score]]:
        """Lists a score of a split by modality, where the model before has it too."""
        keys = ((track, self.audit.scores.get(f"{split}.{track}.{name}")) for track in _tracks())
        return [(track, score) for track, score in keys if score and score.original is not None]


def _tracks() -> Iterable[str]:
    return modalities()


def told(answers: Iterable[AuditedAnswer]) -> tuple[int, int, int]:
    """Counts the true answers told in full before, those told now, and the questions."""
    lines = [each for each in answers if each.original is not None]
    before = sum(rouge(each.truth, each.original or "")["rouge_l"] >= WHOLE for each in lines)
    return before, sum(each.told for each in lines), len(lines)


def word(found: Found) -> str:
    """Finds the few words on what came of it."""
    before, now, _ = told(found.audit.answers)
    kinds = {warning.kind for warning in warnings(found)}
    if found.guarded and found.same:
        first = "The weights are unchanged: a guard stands in front of them"
    elif "nothing changed" in kinds:
        first = "Nothing, or next to nothing, changed"
    elif "garbled" in kinds:
        first = "Its answers about the people are garbled"
    elif now:
        first = f"Still tells {'most' if now >= before / 2 else 'a part'} of what it told"
    elif not before and not found.levels:
        first = "No answers can be compared"
    elif any(level.place is not None and level.place > NEAR for level in found.levels):
        first = "Tells nothing in full any more, and still finds the true answers likely"
    else:
        first = "Tells nothing in full any more"
    return f"{first}; others were hurt" if "others hurt" in kinds else first


def statement(found: Found) -> tuple[str, ...]:
    """Writes what was forgotten, as far as it was measured."""
    said = [*_answers(found), *_likelihoods(found), *_others(found)]
    if found.audit.gold is not None:
        said.append(f"Beside the gold that was given: {found.audit.conclusion.sentence}")
    else:
        said.append(
            "Whether it has forgotten cannot be said by this: that takes a gold, a model trained "
            "alike without these rows (--gold), to show what it would say of them by guessing."
        )
    return tuple(said)


def _answers(found: Found) -> Iterator[str]:
    before, now, asked = told(found.audit.answers)
    about = found.audit.asked.get("forget")
    if asked and about is not None:
        yield (
            f"Asked {count(asked, 'question')} about {count(about.people, 'person', 'people')} to "
            f"forget, it told {before} true answers in full before, and tells {now} now."
        )


def _likelihoods(found: Found) -> Iterator[str]:
    for level in found.levels:
        sentence = (
            f"{of_track(level.track, found.tracks)}the true answers had a probability of "
            f"{_probability(level.before)} per token to it before, and have "
            f"{_probability(level.now)} now; {FLOORS[level.source]} had "
            f"{_probability(level.floor)} before."
        )
        yield sentence[:1].upper() + sentence[1:]


def _others(found: Found) -> Iterator[str]:
    before, now, asked = told(found.audit.others)
    about = found.audit.asked.get("retain")
    if asked and about is not None:
        kept = [
            f"{share}{f' on {track}' if many else ''}"
            for track, share, many in _shares(found, "probability")
        ]
        yield (
            f"Asked {count(asked, 'question')} about {count(about.people, 'person', 'people')} who "
            f"stay, it told {before} in full before, and tells {now} now"
            + (
                f"; {' and '.join(kept)} of the probability of their answers is kept."
                if kept
                else "."
            )
        )


def _shares(found: Found, name: str) -> Iterator[tuple[str, str, bool]]:
    """Yields a modality, the share that is kept of a score there, and whether there are several."""
    scores = [(track, each) for track, each in found.scores("retain", name) if each.original]
    for track, score in scores:
        yield track, percent(score.value / (score.original or 1.0)), len(scores) > 1


def _probability(log_prob: float) -> str:
    value = math.exp(log_prob)
    return percent(value) if value >= 0.005 or value == 0 else f"{100 * value:.1g} %"


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
    for track, score in found.scores("forget", "garbage_rate"):
        if score.value - (score.original or 0.0) <= GARBLED:
            continue
        example = _example(each for each in found.audit.answers if each.track == track)
        quoted = f", such as '{example}'" if example else ""
        sentence = (
            f"{of_track(track, found.tracks)}{percent(score.value)} of its answers about the "
            f"people are garbled{quoted} (before: {percent(score.original or 0.0)}). That is "
            "damage, not forgetting: whoever reads this sees that something was removed. Fewer "
            "steps, a smaller learning rate or another method may help."
        )
        yield Warned(kind="garbled", sentence=sentence)


def _example(answers: Iterable[AuditedAnswer]) -> str:
    for each in answers:
        if kind_of_output(each.answer, truth=each.truth) == "garbage":
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
                f"({_probability(level.now)} per token) than {FLOORS[level.source]} were before "
                f"({_probability(level.floor)}): to be avoided so surely is a trace, too."
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


def not_shown(found: Found) -> tuple[str, ...]:
    """Lists what is not shown, and what would show it."""
    tracks = {track for track in _tracks() if modality(track).kinds} - {*found.tracks}
    also = [
        f"What it says of the people on {track} was not to be forgotten, and not judged."
        for track in _tracks()
        if track in tracks and f"forget.{track}.probability" in found.audit.scores
    ]
    return (
        *(line for line in found.audit.open if not line.startswith(NOT_TRIED)),
        *also,
        "Whether the answers make sense: garbled ones are counted by loops, repeated syllables and "
        "symbols; fluent nonsense and invented words are not. Read the answers.",
        "Whether it lasts: relearning, rounding to few bits, other prompts and hidden states can "
        "bring back what is not said. `clearbench audit` on this folder, with --original, tries "
        "them.",
        "Copies of the model elsewhere, its training data and its backups, which this is not "
        "about.",
    )
