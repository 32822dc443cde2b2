"""Holds all that the words of evidence rest on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from clearbench.audit.fluency import BEYOND
from clearbench.audit.schema import Audit, AuditedAnswer
from clearbench.audit.words import between, count, percent
from clearbench.data.modality import modalities
from clearbench.evaluation.metrics.leaks import WHOLE
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.score import Score
from clearbench.evidence.schema import FloorSource, Known, Level, Schedule

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
        keys = ((track, self.audit.scores.get(f"{split}.{track}.{name}")) for track in modalities())
        return [(track, score) for track, score in keys if score and score.original is not None]


def told(answers: Iterable[AuditedAnswer]) -> tuple[int, int, int]:
    """Counts the true answers told in full before, those told now, and the questions."""
    lines = [each for each in answers if each.original is not None]
    before = sum(rouge(each.truth, each.original or "")["rouge_l"] >= WHOLE for each in lines)
    return before, sum(each.told for each in lines), len(lines)


def probability(log_prob: float) -> str:
    """Writes the probability of a mean log-probability per token."""
    value = math.exp(log_prob)
    return percent(value) if value >= 0.005 or value == 0 else f"{100 * value:.1g} %"


def garbled_share(score: Score) -> str:
    """Writes how many answers about the people are garbled, with the interval over people."""
    share = f"{round(score.value * score.n)} of {count(score.n, 'answer')} about the people"
    ends = between(score.low, score.high)
    return f"{share} ({ends} of such answers)" if ends else share


def surely_garbled(found: Found) -> list[Score]:
    """Lists garbage rates about the people that have surely risen by more than `BEYOND`.

    So many of the answers of a model that is fluent would count as garbled.
    """
    scores = (score for _, score in found.scores("forget", "garbage_rate"))
    return [score for score in scores if _least(score) - (score.original or 0.0) > BEYOND]


def _least(score: Score) -> float:
    return score.value if score.low is None else score.low
