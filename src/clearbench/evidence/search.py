"""Chooses a schedule by trials on the validation people: no gold is needed.

A trial is a whole unlearning. After one that forgets too little the next has a larger learning
rate, after one that forgets too much or garbles a smaller one; once both have been seen, the next
lies between them. Where answers about others were hurt, the next takes twice the steps, in which
what should stay is learned again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from clearbench.audit.words import percent
from clearbench.batches.items import Item, item
from clearbench.data.example import Example
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evidence.division import Division
from clearbench.evidence.floors import Floor, log_probs
from clearbench.evidence.schema import Trial
from clearbench.methods.base import Method
from clearbench.methods.stages import Train
from clearbench.models.base import Model
from clearbench.storage import read_json, write_json
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged

#: Trials by default.
BUDGET = 5
#: A trial ends the search if the answers are this near to the floor, others keep this much of their
#: probability, and garbled answers rise by no more.
NEAR, KEPT, GARBLED = 0.25, 0.9, 0.1
#: Weight of what is lost or garbled, beside the distance to the floor.
DAMAGE = 2.0
#: Factor between learning rates until one is too weak and one too strong.
FACTOR = 4.0
#: Times the steps of the first trial that a trial may take.
LONGEST = 8
#: Answers that are generated in a trial, and their most tokens.
_SAID, _TOKENS = 16, 40

CRITERION = (
    "The chosen trial has the smallest sum of the knowledge that is left about the validation "
    "people (0 %: their true answers have the log-probability that they have for somebody who "
    "does not know; 100 %: that of before; below 0 counts as above), "
    f"{DAMAGE:.0f} times the share of probability that answers about validation people who stay "
    f"have lost, and {DAMAGE:.0f} times the rise of garbled answers; the search ends at once where "
    f"knowledge is within {percent(NEAR)} of 0 %, {percent(KEPT)} is kept and no more than "
    f"{percent(GARBLED)} more is garbled."
)
#: What the numbers of a trial mean, for the terminal.
LEGEND = (
    "knowledge left: 100 % is as before, 0 % as somebody who does not know, below 0 % less than "
    "that; kept: probability of answers about others"
)


def searches(chosen: Method, kind: str) -> bool:
    """Whether a learning rate decides how much a method forgets, and answers show it."""
    trains = any(isinstance(stage, Train) for stage in chosen.stages())
    whole = not chosen.from_base and chosen.artefact != "guard"
    return trains and whole and kind != "classifier"


@dataclass(frozen=True)
class Validation:
    """Validation rows, and what they are to the model before unlearning.

    Attributes:
        model: Model before unlearning.
        division: Rows on which the schedule is chosen.
        floors: Floor by modality.
    """

    model: Model
    division: Division
    floors: Mapping[str, Floor]

    @cached_property
    def _forget(self) -> list[Item]:
        return [item(row) for row in self.division.forget]

    @cached_property
    def _retain(self) -> list[Item]:
        return [item(row) for row in self.division.retain]

    @cached_property
    def said_before(self) -> dict[str, str]:
        """Answers before unlearning, by row."""
        return self.said(self.model)

    @cached_property
    def _before(self) -> list[float]:
        return log_probs(self.model, self._forget)

    @cached_property
    def _kept_before(self) -> float:
        return float(np.exp(log_probs(self.model, self._retain)).mean())

    def said(self, model: Model) -> dict[str, str]:
        """Generates answers to some of the questions about the people to forget, by row."""
        some = self._forget[:: max(1, len(self._forget) // _SAID)]
        with model.measured():
            texts = model.generate(some, _TOKENS)
        return {each.row: text for each, text in zip(some, texts, strict=True)}

    def place(self, model: Model) -> float | None:
        """Computes the mean place between the floor and before, over modalities."""
        now, rows = log_probs(model, self._forget), self.division.forget
        places = [
            place_of(*(float(np.mean(values)) for values in zip(*lines, strict=True)))
            for lines in _by_track(rows, self._before, now, self.floors)
        ]
        known = [place for place in places if place is not None]
        return float(np.mean(known)) if known else None

    def kept(self, model: Model) -> float | None:
        """Computes the share of probability that answers about those who stay have kept."""
        if not self._retain:
            return None
        return float(np.exp(log_probs(model, self._retain)).mean()) / max(self._kept_before, 1e-12)

    def garbled(self, model: Model) -> float:
        """Computes the rise of the share of garbled answers about the people to forget."""
        return self._share_garbled(self.said(model)) - self._share_garbled(self.said_before)

    def _share_garbled(self, said: Mapping[str, str]) -> float:
        truths = {each.row: each.answer for each in self._forget}
        kinds = [kind_of_output(text, truth=truths[row]) for row, text in said.items()]
        return float(np.mean([kind == "garbage" for kind in kinds])) if kinds else 0.0


def place_of(before: float, now: float, floor: float) -> float | None:
    """Computes (now - floor) / (before - floor); None where the model knew no more than the floor.

    Args:
        before: Mean log-probability per token before unlearning, in nats.
        now: The same after it.
        floor: The same of what nobody was taught.
    """
    return (now - floor) / (before - floor) if before - floor > math.log(1.1) else None


def _by_track(
    rows: Sequence[Example],
    before: Sequence[float],
    now: Sequence[float],
    floors: Mapping[str, Floor],
) -> Iterator[list[tuple[float, float, float]]]:
    for track, floor in floors.items():
        lines = [
            (first, last, floor.of(row))
            for row, first, last in zip(rows, before, now, strict=True)
            if row.track == track
        ]
        if lines:
            yield lines


#: Makes a model with a schedule; the number of the trial names its checkpoints.
Make = Callable[[TrainSettings, int], Model]


class Search:
    """Tries learning rates until one is good enough, or the budget is spent.

    Args:
        validation: What each trial is measured on.
        settings: Settings of the first trial.
        budget: Most trials.
        make: Function that makes a model with a schedule.
        say: Function told of each trial in words.
        kept: File that keeps the trials of a search that may be killed.
    """

    def __init__(
        self,
        validation: Validation,
        settings: TrainSettings,
        budget: int,
        make: Make,
        say: Callable[[str], None],
        kept: Path,
    ) -> None:
        self._validation, self._settings, self._budget = validation, settings, budget
        self._make, self._say, self._kept = make, say, kept
        self.trials: list[Trial] = []

    def run(self) -> tuple[TrainSettings, Trial, Model]:
        """Returns the chosen settings, their trial, and the model that they gave."""
        found = read_json(self._kept) if self._kept.is_file() else []
        self.trials = [Trial.model_validate(line) for line in found]
        model, last = None, 0
        while len(self.trials) < self._budget and not any(map(_good, self.trials)):
            last = len(self.trials) + 1
            model = None  # no third model beside it
            model, trial = self._tried(last, following(self._settings, self.trials))
            self.trials.append(trial)
            write_json(self._kept, [each.model_dump(mode="json") for each in self.trials])
            self._say(f"trial {trial.number} of at most {self._budget}: {trial.sentence}")
        best = min(self.trials, key=shortfall)
        settings = scheduled(self._settings, best.steps, best.learning_rate)
        if model is None or best.number != last:
            model = None
            model = self._make(settings, best.number)
        return settings, best, model

    def _tried(self, number: int, settings: TrainSettings) -> tuple[Model | None, Trial]:
        rate = settings.learning_rate
        about: dict[str, Any] = {"number": number, "steps": settings.steps, "learning_rate": rate}
        said = f"{settings.steps} steps at a learning rate of {rate:.3g}"
        try:
            model = self._make(settings, number)
        except Diverged as error:
            sentence = f"{said}: {error.what}"
            return None, Trial(**about, reason=DIVERGED, sentence=sentence)
        checked = self._validation
        trial = Trial(
            **about,
            place=checked.place(model),
            kept=checked.kept(model),
            garbled=checked.garbled(model),
            sentence="",
        )
        found = {"reason": _reason(trial), "sentence": f"{said}: {_measured(trial)}"}
        return model, trial.model_copy(update=found)


def shortfall(trial: Trial) -> float:
    """Computes what a trial lacks: distance to the floor, and the damage besides."""
    if trial.reason == DIVERGED:
        return math.inf
    distance = 1.0 if trial.place is None else min(1.0, abs(trial.place))
    lost = 0.0 if trial.kept is None else max(0.0, 1 - trial.kept)
    return distance + DAMAGE * (lost + max(0.0, trial.garbled or 0.0))


#: Why a search goes on after a trial.
HURT, GARBLES, TOO_MUCH = "others are hurt", "answers are garbled", "too much is forgotten"
DIVERGED, TOO_LITTLE = "diverged", "too little is forgotten"


def _reason(trial: Trial) -> str:
    place = 1.0 if trial.place is None else trial.place
    if trial.kept is not None and trial.kept < KEPT:
        return HURT
    if (trial.garbled or 0.0) > GARBLED:
        return GARBLES
    if place < -NEAR:
        return TOO_MUCH
    return TOO_LITTLE if place > NEAR else ""


def _good(trial: Trial) -> bool:
    return not trial.reason


def _measured(trial: Trial) -> str:
    parts = ["knowledge left " + ("unknown" if trial.place is None else percent(trial.place))]
    if trial.kept is not None:
        parts.append(f"kept {percent(trial.kept)}")
    parts.append(f"garbled {100 * (trial.garbled or 0.0):+.0f} points")
    return f"{', '.join(parts)}: {_reason(trial) or 'good enough'}"


def scheduled(settings: TrainSettings, steps: int, rate: float) -> TrainSettings:
    """Returns settings with another schedule."""
    return settings.model_copy(update={"steps": steps, "learning_rate": rate})


def following(first: TrainSettings, trials: Sequence[Trial]) -> TrainSettings:
    """Chooses the schedule of the next trial.

    Args:
        first: Settings of the first trial.
        trials: Trials before it.
    """
    if not trials:
        return first
    last = trials[-1]
    if last.reason == HURT and 2 * last.steps <= LONGEST * first.steps:
        rises = last.place is not None and last.place > NEAR
        return scheduled(first, 2 * last.steps, last.learning_rate * (2 if rises else 1))
    alike = [trial for trial in trials if trial.steps == last.steps]
    weak = [trial.learning_rate for trial in alike if trial.reason == TOO_LITTLE]
    strong = [trial.learning_rate for trial in alike if trial.reason not in ("", TOO_LITTLE)]
    if strong and weak:
        return scheduled(first, last.steps, math.sqrt(min(strong) * max(weak)))
    rate = min(strong) / FACTOR if strong else max(weak) * FACTOR
    return scheduled(first, last.steps, rate)
