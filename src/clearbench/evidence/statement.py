"""Words what unlearning did: a first statement, and what is not shown."""

from __future__ import annotations

from collections.abc import Iterator

from clearbench.audit.conclusion import NOT_TRIED
from clearbench.audit.words import count, of_track, percent
from clearbench.data.modality import modalities, modality
from clearbench.evidence.found import (
    FLOORS,
    Found,
    garbled_share,
    probability,
    surely_garbled,
    told,
)
from clearbench.evidence.search import NEAR
from clearbench.evidence.warnings import warnings


def word(found: Found) -> str:
    """Finds the few words on what came of it."""
    before, now, _ = told(found.audit.answers)
    kinds = {warning.kind for warning in warnings(found)}
    surely = surely_garbled(found)
    if found.guarded and found.same:
        first = "The weights are unchanged: a guard stands in front of them"
    elif "nothing changed" in kinds:
        first = "Nothing, or next to nothing, changed"
    elif surely:
        most = any(score.value >= 0.5 for score in surely)
        share = "Its answers about the people are" if most else "A part of its answers is"
        first = f"{share} garbled"
    elif now:
        first = f"Still tells {'most' if now >= before / 2 else 'a part'} of what it told"
    elif not before and not found.levels:
        first = "No answers can be compared"
    elif any(level.place is not None and level.place > NEAR for level in found.levels):
        first = "Tells nothing in full any more, and still finds the true answers likely"
    else:
        first = "Tells nothing in full any more"
    also = ["some answers look garbled"] if "garbled" in kinds and "garbled" not in first else []
    also += ["others were hurt"] if "others hurt" in kinds else []
    return "; ".join((first, *also))


def statement(found: Found) -> tuple[str, ...]:
    """Writes what was forgotten, as far as it was measured."""
    said = [*_answers(found), *_garbled(found), *_likelihoods(found), *_others(found)]
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


def _garbled(found: Found) -> Iterator[str]:
    empty = dict(found.scores("forget", "empty_rate"))
    for track, score in found.scores("forget", "garbage_rate"):
        before = round((score.original or 0.0) * score.n)
        sentence = (
            f"{of_track(track, found.tracks)}{garbled_share(score)} are garbled now; before, "
            f"{before} were."
        )
        if track in empty and empty[track].value:
            sentence += f" {round(empty[track].value * empty[track].n)} are empty."
        yield sentence[:1].upper() + sentence[1:]


def _likelihoods(found: Found) -> Iterator[str]:
    for level in found.levels:
        sentence = (
            f"{of_track(level.track, found.tracks)}the true answers had a probability of "
            f"{probability(level.before)} per token to it before, and have "
            f"{probability(level.now)} now; {FLOORS[level.source]} had "
            f"{probability(level.floor)} before."
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


def not_shown(found: Found) -> tuple[str, ...]:
    """Lists what is not shown, and what would show it."""
    tracks = {track for track in modalities() if modality(track).kinds} - {*found.tracks}
    also = [
        f"What it says of the people on {track} was not to be forgotten, and not judged."
        for track in modalities()
        if track in tracks and f"forget.{track}.probability" in found.audit.scores
    ]
    return (
        *(line for line in found.audit.open if not line.startswith(NOT_TRIED)),
        *also,
        "Whether the answers make sense: garbled ones are told by loops and symbols, by words that "
        "neither the rows nor the model before use, and by being less likely to that model than "
        "nearly all fluent answers about people it does not know; fluent nonsense is not. Read the "
        "answers.",
        "Whether it lasts: relearning, rounding to few bits, other prompts and hidden states can "
        "bring back what is not said. `clearbench audit` on this folder, with --original, tries "
        "them.",
        "Copies of the model elsewhere, its training data and its backups, which this is not "
        "about.",
    )
