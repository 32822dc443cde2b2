"""Checks the contract of attacks on tiny models and their records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from clearbench.attacks.base import Attack, Target
from clearbench.attacks.recovery import SurvivalAttack
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.models.base import Model
from clearbench.testing.collections import (
    check_in_range,
    check_same,
    check_unchanged,
    must,
    shuffled,
    typical_collections,
    typical_dataset,
    typical_shadows,
)
from clearbench.testing.metrics import check_described, run_checks
from clearbench.testing.world import base, copied, taught


def _given(change: Callable[[Records], Records] | None = None) -> Collections:
    """Builds typical records of a model, gold, original and shadow models.

    Args:
        change: Function that changes the shadow models'; None leaves them as they are.
    """
    shadows = typical_shadows()
    if change is not None:
        shadows = tuple(replace(shadow, records=change(shadow.records)) for shadow in shadows)
    return replace(typical_collections(), shadows=shadows)


def _target(trained: bool, collections: Collections) -> Target:
    original, gold = (copied(made("vision-language")) for made in (taught, base))
    model = copied(original if trained else gold)
    return Target(collections, model, typical_dataset().for_kind(model.kind), original, gold)


class Made(NamedTuple):
    """Table of an attack, the records it was given, and whether it changed a model."""

    table: pd.DataFrame
    records: Records
    changed: bool


def _made(measure: Attack, trained: bool) -> Made:
    given = _given()
    target = _target(trained, given if trained else given.of(given.golds[0]))
    models = [each for each in (target.model, target.original, target.gold) if each is not None]
    marks = list(map(_marks, models))
    table = measure.table(target)
    return Made(table, given.model, marks != list(map(_marks, models)))


@dataclass(frozen=True)
class AttackTrial:
    """An attack whose tables and scores on typical records are computed once for several checks."""

    measure: Attack

    @cached_property
    def first(self) -> Made:
        """Table of the model, and whether it left everything alone."""
        return _made(self.measure, True)

    @cached_property
    def second(self) -> Made:
        """Table of a gold."""
        return _made(self.measure, False)

    @property
    def tables(self) -> list[pd.DataFrame]:
        """Tables of the model and of a gold; not to be changed."""
        return [self.first.table, self.second.table]

    @cached_property
    def again(self) -> AttackTrial:
        """The same attack, whose table of the model is computed anew."""
        trial = AttackTrial(self.measure)
        vars(trial)["second"] = self.second
        return trial

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Scores on typical records."""
        return self.scored(self.attacked())

    def attacked(self, change: Callable[[Records], Records] | None = None) -> Collections:
        """Builds a model, who is the original too, and a gold with the attack's tables."""
        given, whole = _given(change), change or (lambda records: records)
        model, gold = (
            whole(records.with_table(self.measure.written, table.copy()))
            for records, table in zip((given.model, given.golds[0]), self.tables, strict=True)
        )
        return Collections(model, (gold,), (model,), shadows=given.shadows)

    def scored(self, collections: Collections) -> dict[str, Score]:
        """Computes the scores on every track."""
        return {
            key: score
            for track in collections.tracks
            for key, score in self.measure.scores(collections, track).items()
        }


def _described(trial: AttackTrial) -> None:
    check_described(trial.measure)


def _table(trial: AttackTrial) -> None:
    table, written = trial.tables[0], trial.measure.written
    must(len(table), "its table has no line on typical records")
    must(list(table.columns) == list(written.columns), f"columns are {list(table.columns)}")
    if written.row_key is not None:
        groups = typical_collections().model.groups().values()
        rows = {row for group in groups for row in group.people}
        must(set(table[written.row_key]) <= rows, "lines about unknown rows")
    numbers = table.select_dtypes("number").to_numpy(dtype=float)
    must(np.isfinite(numbers).all(), "the table is not finite")


def _gives_scores(trial: AttackTrial) -> None:
    must(trial.scores, "gives no score on any typical records")
    for key in trial.scores:
        last = key.split(".")[2]
        must(last.startswith(trial.measure.score_key), f"'{key}' does not have its key")
        must(last in trial.measure.numbers(), f"'{last}' is not among its `numbers`")


def _in_range(trial: AttackTrial) -> None:
    check_in_range(trial.scores)


def _order(trial: AttackTrial) -> None:
    check_same(trial.scores, trial.again.scored(trial.again.attacked(shuffled)))


def _same_again(trial: AttackTrial) -> None:
    for table, other in zip(trial.tables, trial.again.tables, strict=True):
        must(table.equals(other), "the same models give another table")


def _empty(trial: AttackTrial) -> None:
    nothing = trial.attacked(lambda records: records.in_groups(lambda _: False))
    scores = trial.scored(nothing)
    must(not scores, f"nothing measured gives {list(scores)}")


def _pure(trial: AttackTrial) -> None:
    for made in (trial.first, trial.second):
        check_unchanged(typical_collections().model, made.records)
        must(not made.changed, "a model changed")
    given = _given()
    trial.scored(given)
    check_unchanged(typical_collections().model, given.model)


def _marks(model: Model) -> tuple[object, ...]:
    """Returns what an attack must leave as it is: weights and guards, what is trained, the mode."""
    hooks = sum(len(layer._forward_hooks) for layer in model.module.modules())
    return model.fingerprint, list(model.trainable()), model.module.training, hooks


def _between(trial: AttackTrial) -> None:
    """Recovery is 0 of gold and 1 of the original; points say why they have none."""
    given = trial.attacked()
    for records, right in ((given.golds[0], 0.0), (given.model, 1.0)):
        scores = trial.scored(given.of(records))
        recovered = {key: score for key, score in scores.items() if "_recovery" in key}
        must(recovered, "gives no recovery")
        for key, score in recovered.items():
            must(np.isclose(score.value, right, atol=1e-6), f"{key} is {score.value}, not {right}")
    for track in given.tracks:
        for key, points in trial.measure.curves(given, track).items():
            must(points, f"{key} has no point")
            for point in points:
                must((point.recovery is None) == bool(point.why), f"{key}, {point.level}: why?")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "says what it is, with a version": _described,
    "gives a table": _table,
    "gives scores": _gives_scores,
    "finite and in range": _in_range,
    "row order changes nothing": _order,
    "nothing measured gives nothing": _empty,
    "the same again": _same_again,
    "leaves records and models alone": _pure,
}
#: Checks of attacks that ask what survives.
_SURVIVAL: dict[str, Callable[[Any], None]] = {"0 of gold, 1 of the original": _between}


def check_attack(attack: Attack | type[Attack]) -> list[str]:
    """Checks an attack on tiny vision-language models and their records.

    Args:
        attack: A configured attack, or a class, whose declared variants are all checked; its
            default configuration where it declares none.

    Returns:
        Names of the checks, all passed.

    Raises:
        AssertionError: The first check that fails, with check and attack.
    """
    made = [attack] if isinstance(attack, Attack) else list(attack.configured()) or [attack()]
    checks = _CHECKS | (_SURVIVAL if isinstance(made[0], SurvivalAttack) else {})
    run_checks(checks, [AttackTrial(configured) for configured in made])
    return list(checks)
