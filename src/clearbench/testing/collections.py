"""Measures records of tiny models, on which contract checks compute metrics and attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import TypeVar

import numpy as np
import pandas as pd

from clearbench.data.dataset import Dataset
from clearbench.data.modality import modality
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.groups import ANSWERS
from clearbench.evaluation.metric import Collections, Shadow
from clearbench.evaluation.prompts import PROMPT_FORMS
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.tables import TableSet
from clearbench.testing.world import base, taught, tiny_dataset

#: Splits of people who were taught, and of people who were not, and models that tell them apart.
_SIDES = ("forget", "holdout")
_SHADOWS = 12
#: Amount by which rounding may put a value outside its range.
ROUNDING = 1e-9
Tables = TypeVar("Tables", bound=TableSet)


@cache
def typical_dataset() -> Dataset:
    """Builds the tiny dataset, with the retained people held out, too, under other numbers.

    Two retained answers are also texts to continue.
    """
    dataset = tiny_dataset()
    retained = dataset.evaluation["retain"]
    continued = [
        row.model_copy(update={"id": f"{row.id}-continued", "task": "continuation"})
        for row in retained
        if row.task == "qa"
    ]
    strangers = tuple(
        row.model_copy(update={"id": f"held-out-{row.id}", "person": 100 + (row.person or 0)})
        for row in retained
    )
    more = {"holdout": strangers, "retain": (*retained, *continued[:2])}
    evaluation = dataset.evaluation | more
    names = dataset.names | {100 + person: name for person, name in dataset.names.items()}
    return replace(dataset, evaluation=evaluation, names=names)


@cache
def typical_records(trained: bool = True) -> Records:
    """Measures a tiny vision-language model, taught or not, with strangers and every form."""
    model = (taught if trained else base)("vision-language")
    settings = EvaluationSettings(
        protocol="openunlearning", limit=None, asks=tuple(PROMPT_FORMS), max_new_tokens=8
    )
    return evaluate(model, typical_dataset(), settings)


@cache
def classifier_records() -> Records:
    """Measures a tiny classifier."""
    settings = EvaluationSettings(limit=None)
    return evaluate(taught("classifier"), tiny_dataset().naming(), settings)


def copied(tables: Tables) -> Tables:
    """Copies the lines into new frames."""
    return tables.changed(lambda frame: frame.copy(deep=True))


def shuffled(tables: Tables) -> Tables:
    """Puts the lines in another order."""
    return tables.changed(lambda frame: frame.sample(frac=1, random_state=1))


def typical_collections(change: Callable[[Records], Records] = copied) -> Collections:
    """Builds records of an untaught model, gold and original, changed by a function."""
    ours, gold = (change(typical_records(trained)) for trained in (True, False))
    return Collections(ours, (gold,), (gold,))


@cache
def typical_shadows() -> tuple[Shadow, ...]:
    """Makes up a dozen shadow models: the untaught model's answers, raised where they were taught.

    The forgotten people were taught to every other one, the strangers to the rest.
    """
    given = typical_records(trained=False).in_groups(
        lambda key: key.split in _SIDES and key.task == modality(key.track).main_task
    )
    answers = given.answers[given.answers["variant"] == "answer"].reset_index(drop=True)
    rng, shadows = np.random.default_rng(0), []
    for number in range(_SHADOWS):
        side = _SIDES[number % 2]
        shifts = rng.normal(0, 0.2, len(answers)) + (answers["split"] == side)
        logs = [
            np.minimum(np.asarray(tokens) + shift, -1e-3).tolist()
            for tokens, shift in zip(answers["log_probs"], shifts, strict=True)
        ]
        taught = frozenset(answers.loc[answers["split"] == side, "person"])
        shadows.append(Shadow(Records({ANSWERS: answers.assign(log_probs=logs)}), taught))
    return tuple(shadows)


def differing(before: TableSet, after: TableSet) -> list[str]:
    """Names the tables that differ."""
    return [name for name in before if not before[name].equals(after[name])]


def check_unchanged(before: Records, after: Records) -> None:
    """Checks that neither records nor their groups differ."""
    pairs = [(group, after.groups()[key]) for key, group in before.groups().items()]
    must(not any(differing(*pair) for pair in [*pairs, (before, after)]), "records were changed")


def bounds(limits: tuple[float | None, float | None]) -> tuple[float, float]:
    """Returns a range with infinities where there is no bound."""
    low, high = limits
    return (-np.inf if low is None else low, np.inf if high is None else high)


def must(condition: object, what: str) -> None:
    """Raises an `AssertionError` with what is wrong, unless the condition holds."""
    if not condition:
        raise AssertionError(what)


def same(first: pd.Series, second: pd.Series) -> bool:
    """Whether two series hold the same rows and, but for rounding, the same values."""
    if len(first) != len(second) or not first.index.equals(second.index):
        return False
    return bool(np.allclose(first, second, rtol=ROUNDING, atol=0))


def check_in_range(scores: Mapping[str, Score]) -> None:
    """Checks that every score is finite and in its range."""
    for key, score in scores.items():
        low, high = bounds(score.range)
        must(np.isfinite(score.value), f"{key} is {score.value}")
        inside = low - ROUNDING <= score.value <= high + ROUNDING
        must(inside, f"{key} = {score.value} outside {score.range}")


def check_same(first: Mapping[str, Score], second: Mapping[str, Score]) -> None:
    """Checks that two sets of scores have the same values."""
    for key, score in first.items():
        must(np.isclose(score.value, second[key].value), f"{key}: order matters")
