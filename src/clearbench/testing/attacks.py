"""Checks the contract of attacks on tiny models and their records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from clearbench.attacks.base import Attack, Target
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
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
from clearbench.testing.collections import copied as copied_tables
from clearbench.testing.metrics import check_described, run_checks
from clearbench.testing.world import base, copied, taught


def _given(change: Callable[[Records], Records] = copied_tables) -> Collections:
    """Builds typical records of a model, gold, original and shadow models."""
    shadows = tuple(replace(made, records=change(made.records)) for made in typical_shadows())
    return replace(typical_collections(), shadows=shadows)


def _target(trained: bool, collections: Collections) -> Target:
    model = copied((taught if trained else base)("vision-language"))
    return Target(collections, model, typical_dataset().for_kind("vision-language"))


@dataclass(frozen=True)
class AttackTrial:
    """An attack whose tables and scores on typical records are computed once for several checks."""

    measure: Attack

    @cached_property
    def tables(self) -> list[pd.DataFrame]:
        """Tables of the model and of a gold; not to be changed."""
        given = _given()
        targets = ((given.model, True), (given.golds[0], False))
        return [self.measure.table(_target(which, given.of(of))) for of, which in targets]

    @cached_property
    def scores(self) -> dict[str, Score]:
        """Scores on typical records."""
        return self.scored(self.attacked())

    def attacked(
        self, change: Callable[[Records], Records] = lambda records: records
    ) -> Collections:
        """Builds a model and a gold with the attack's tables among their records."""
        given = _given(change)
        model, gold = (
            change(records.with_table(self.measure.written, table.copy()))
            for records, table in zip((given.model, given.golds[0]), self.tables, strict=True)
        )
        return Collections(model, (gold,), (gold,), shadows=given.shadows)

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
    again = AttackTrial(trial.measure)  # whose tables are computed anew
    check_same(trial.scores, again.scored(again.attacked(shuffled)))


def _empty(trial: AttackTrial) -> None:
    nothing = trial.attacked(lambda records: records.in_groups(lambda _: False))
    scores = trial.scored(nothing)
    must(not scores, f"nothing measured gives {list(scores)}")


def _pure(trial: AttackTrial) -> None:
    given, before = _given(), _given()
    target = _target(True, given)
    fingerprint = target.model.fingerprint if target.model else ""
    trial.measure.table(target)
    trial.scored(given)
    check_unchanged(before.model, given.model)
    must(target.model is not None and target.model.fingerprint == fingerprint, "the model changed")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "says what it is, with a version": _described,
    "gives a table": _table,
    "gives scores": _gives_scores,
    "finite and in range": _in_range,
    "row order changes nothing": _order,
    "nothing measured gives nothing": _empty,
    "leaves records and model alone": _pure,
}


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
    run_checks(_CHECKS, [AttackTrial(configured) for configured in made])
    return list(_CHECKS)
