"""Checks the contract of attacks on tiny models and their records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
)
from clearbench.testing.metrics import check_described, run_checks
from clearbench.testing.world import base, copied, taught


def _target(trained: bool, collections: Collections) -> Target:
    model = copied((taught if trained else base)("vision-language"))
    return Target(collections, model, typical_dataset().for_kind("vision-language"))


def _attacked(
    attack: Attack, change: Callable[[Records], Records] = lambda records: records
) -> Collections:
    """Builds a model and a gold with the attack's table among their records."""
    given = typical_collections()
    model, gold = (
        records.with_table(attack.written, attack.table(_target(trained, given.of(records))))
        for records, trained in ((given.model, True), (given.golds[0], False))
    )
    return Collections(change(model), (change(gold),), (change(gold),))


def _scores(attack: Attack, collections: Collections) -> dict[str, Score]:
    return {
        key: score
        for track in collections.tracks
        for key, score in attack.scores(collections, track).items()
    }


def _table(attack: Attack) -> None:
    given = typical_collections()
    table = attack.table(_target(True, given))
    must(len(table), "its table has no line on typical records")
    must(list(table.columns) == list(attack.written.columns), f"columns are {list(table.columns)}")
    if attack.written.row_key is not None:
        rows = {row for group in given.model.groups().values() for row in group.people}
        must(set(table[attack.written.row_key]) <= rows, "lines about unknown rows")
    numbers = table.select_dtypes("number").to_numpy(dtype=float)
    must(np.isfinite(numbers).all(), "the table is not finite")


def _gives_scores(attack: Attack) -> None:
    scores = _scores(attack, _attacked(attack))
    must(scores, "gives no score on any typical records")
    for key in scores:
        last = key.split(".")[2]
        must(last.startswith(attack.score_key), f"'{key}' does not have its key")
        must(last in attack.numbers(), f"'{last}' is not among its `numbers`")


def _in_range(attack: Attack) -> None:
    check_in_range(_scores(attack, _attacked(attack)))


def _order(attack: Attack) -> None:
    check_same(_scores(attack, _attacked(attack)), _scores(attack, _attacked(attack, shuffled)))


def _empty(attack: Attack) -> None:
    nothing = _attacked(attack, lambda records: records.in_groups(lambda _: False))
    scores = _scores(attack, nothing)
    must(not scores, f"nothing measured gives {list(scores)}")


def _pure(attack: Attack) -> None:
    given, before = typical_collections(), typical_collections()
    target = _target(True, given)
    fingerprint = target.model.fingerprint if target.model else ""
    attack.table(target)
    _scores(attack, given)
    check_unchanged(before.model, given.model)
    must(target.model is not None and target.model.fingerprint == fingerprint, "the model changed")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "says what it is, with a version": check_described,
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
        attack: A configured attack, or a class, whose declared variants are all checked.

    Returns:
        Names of the checks, all passed.

    Raises:
        AssertionError: The first check that fails, with check and attack.
    """
    made = [attack] if isinstance(attack, Attack) else list(attack.configured())
    run_checks(_CHECKS, made)
    return list(_CHECKS)
