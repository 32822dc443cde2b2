"""Chooses a schedule by trials on the validation people: no gold is needed.

A trial is a whole unlearning. After one that forgets too little the next has a larger learning
rate, after one that does harm (others hurt, answers garbled, too much forgotten, diverged) a
smaller one; once both have been seen, the next lies between them. Where no rate between them is
left, the number of steps changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from clearbench.audit.words import percent
from clearbench.evidence.schema import Trial
from clearbench.evidence.validation import Validation
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
#: Ratio of a rate that is too strong to one that is too weak from which no third lies between.
CLOSE = 1.5
#: Times the steps of the first trial that a trial may take.
LONGEST = 8

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
            model, trial = self._tried(last, *following(self._settings, self.trials))
            self.trials.append(trial)
            write_json(self._kept, [each.model_dump(mode="json") for each in self.trials])
            self._say(f"trial {trial.number} of at most {self._budget}: {trial.sentence}")
        best = min(self.trials, key=shortfall)
        settings = scheduled(self._settings, best.steps, best.learning_rate)
        if model is None or best.number != last:
            model = None
            model = self._make(settings, best.number)
        return settings, best, model

    def _tried(self, number: int, settings: TrainSettings, way: str) -> tuple[Model | None, Trial]:
        rate = settings.learning_rate
        about: dict[str, Any] = {"number": number, "steps": settings.steps, "learning_rate": rate}
        said = f"{settings.steps} steps at a learning rate of {rate:.3g}, {way}"
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


class Step(NamedTuple):
    """Schedule of a trial, and in words how it was come by."""

    settings: TrainSettings
    way: str


def following(first: TrainSettings, trials: Sequence[Trial]) -> Step:
    """Chooses the schedule of the next trial.

    Among trials of as many steps as the last one a learning rate is too weak if too little is
    forgotten by it, and too strong if it does harm. Without one of both the rate moves by `FACTOR`;
    between a weak and a strong one it goes to the middle, on a scale of logarithms. Where these are
    within `CLOSE` of each other no rate is good with so many steps: the next trial takes twice the
    steps at half the rate, or half the steps at twice the rate where it may take no more.

    Args:
        first: Settings of the first trial.
        trials: Trials before it.
    """
    if not trials:
        return Step(first, "the first")
    steps = trials[-1].steps
    alike = [trial for trial in trials if trial.steps == steps]
    weak = max((each for each in alike if each.reason == TOO_LITTLE), key=_rate, default=None)
    harms = (each for each in alike if each.reason not in ("", TOO_LITTLE))
    strong = min(harms, key=_rate, default=None)
    if weak is None or strong is None:
        return _beyond(first, steps, weak, strong)
    rate = math.sqrt(_rate(strong) * _rate(weak))
    if _rate(strong) > CLOSE * _rate(weak):
        between = " and ".join(map(str, sorted((weak.number, strong.number))))
        return Step(scheduled(first, steps, rate), f"between trials {between}")
    longer = 2 * steps
    if longer <= LONGEST * first.steps and longer not in {trial.steps for trial in trials}:
        return Step(scheduled(first, longer, rate / 2), "more steps, each smaller")
    return Step(scheduled(first, max(1, steps // 2), rate * 2), "fewer steps, each larger")


def _beyond(first: TrainSettings, steps: int, weak: Trial | None, strong: Trial | None) -> Step:
    """Moves the rate below all that do harm, or above all that forget too little."""
    if strong is not None:
        way = f"a smaller learning rate than trial {strong.number}"
        return Step(scheduled(first, steps, _rate(strong) / FACTOR), way)
    rate, number = (first.learning_rate, 1) if weak is None else (_rate(weak), weak.number)
    way = f"a larger learning rate than trial {number}"
    return Step(scheduled(first, steps, rate * FACTOR), way)


def _rate(trial: Trial) -> float:
    return trial.learning_rate
