"""Quantiles of strangers' losses given what a row is like."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pytest

from clearbench.attacks.base import Target, attack
from clearbench.attacks.quantile_regression import features
from clearbench.evaluation.metric import Collections
from clearbench.testing.records import group, records


def row(split: str, number: int, loss: float, length: int, **more: Any) -> dict[str, Any]:
    person = number + (1000 if split == "holdout" else 0)
    return {"row": f"{split}{number}", "person": person, "split": split,
            "p": {"answer": [math.exp(-loss)] * length}} | more  # fmt: skip


def values(rows: list[dict[str, Any]], **parameters: Any) -> dict[str, float]:
    table = attack("quantile_regression", **parameters).table(Target(Collections(records(rows))))
    return dict(zip(table["row"], table["value"], strict=True))


def test_distances_from_lines_by_hand() -> None:
    """Losses of strangers are 1, 2 and 3 x ln(length), as often each: a median of 2, quartiles.

    A fourth of each stays out in turn; the lines through 1, 2 and 3 x ln(length) stay. A forgotten
    row at the line of 2 is at 0, at that of 4 two halves of the distance of 1 and 3 above, at 0 two
    below.
    """
    strangers = [
        row("holdout", 12 * k + 4 * j + part, slope * math.log(length), length)
        for k, length in enumerate((3, 9, 27, 60, 90))
        for j, slope in enumerate((1, 2, 3))
        for part in range(4)
    ]
    ours = [row("forget", k, slope * math.log(20), 20) for k, slope in enumerate((2, 4, 0.0))]
    found = values(strangers + ours, folds=4)
    assert [found[f"forget{k}"] for k in range(3)] == pytest.approx([0, 1, -1], abs=1e-6)
    assert len(found) == 63


def test_a_person_is_not_judged_by_its_own_losses() -> None:
    """Of two strangers each is 3 off the other's line: all quartiles are one, the scale is 1."""
    rows = [
        *(row("holdout", 0, 1.0, n) for n in (3, 9)),
        *(row("holdout", 1, 4.0, n) for n in (3, 9)),
        row("forget", 0, 1.0, 9),
    ]
    rows = [r | {"row": f"{r['row']}-{k}"} for k, r in enumerate(rows)]
    found = values(rows, folds=2)
    assert [found[f"holdout{k // 2}-{k}"] for k in range(4)] == pytest.approx([-3, -3, 3, 3])


def test_what_is_known_of_a_row() -> None:
    made = features(group([row("forget", 0, 1.0, 5, said=("Zoë", "x"))]))
    sizes = [5, 1 + len("Zoë".encode()), len(zlib.compress("Zoë".encode()))]
    assert np.exp(made.loc["forget0"]).tolist() == pytest.approx(sizes)
    assert list(features(group([row("forget", 0, 1.0, 5)]))) == ["tokens"]


def test_it_gives_nothing_where_nothing_differs() -> None:
    labels = [row(split, k, 1.0 + k, 1) for split in ("forget", "holdout") for k in range(6)]
    assert values(labels) == {}
    alone = [row("holdout", 0, 1.0, 3), row("holdout", 0, 2.0, 5) | {"row": "b"}]
    assert values([*alone, row("forget", 0, 1.0, 3)]) == {}
