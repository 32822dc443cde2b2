"""Bounds of what a metric may give, and of intervals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from clearbench.errors import DataError
from clearbench.evaluation.score import Band, Range, Score
from clearbench.evaluation.scoring import _checked
from clearbench.evaluation.statistics import band
from clearbench.evaluation.verdict.evidence import worst_answers
from clearbench.testing.records import records


@pytest.mark.parametrize(
    ("bounds", "value", "fits"),
    [
        ((0.0, 1.0), 1.0 + 1e-9, True),
        ((0.0, 1.0), 1.01, False),
        ((0.0, 1.0), 2.0, False),
        ((0.0, 1.0), -1e-9, True),
        ((0.0, 1.0), -0.01, False),
        ((None, 0.0), -9.0, True),
        ((None, 0.0), 0.5, False),
        ((0.0, None), 9.0, True),
        ((0.0, None), -0.5, False),
        ((None, None), -9.0, True),
    ],
)
def test_a_value_lies_within_the_bounds_of_its_metric(
    bounds: Range, value: float, fits: bool
) -> None:
    """Up to rounding, on either side; None is no bound."""
    metric = cast(Any, SimpleNamespace(description=SimpleNamespace(range=bounds)))
    scores = {"forget.text.own": Score(value=value, n=1, clusters=1, direction="up", range=bounds)}
    if fits:
        assert _checked(metric, scores) == scores
    else:
        with pytest.raises(DataError, match=r"for 'forget\.text\.own', outside"):
            _checked(metric, scores)


@pytest.mark.parametrize(
    ("value", "gold", "inside"),
    [(0.75, 0.5, True), (0.25, 0.5, True), (0.5, 0.5, True), (0.8, 0.5, False), (0.2, 0.5, False)],
)
def test_as_far_from_gold_as_another_gold_is_inside(
    value: float, gold: float, inside: bool
) -> None:
    """The farthest gold itself is a gold."""
    found = band([score_with(0.5, 0.75), score_with(0.75, 0.5)])
    assert found == Band(low=0.5, high=0.75, gap=0.25, pairs=2)
    assert found.holds(value, gold) is inside


def score_with(value: float, gold: float) -> Score:
    return Score(value=value, n=1, clusters=1, direction="up", gold=gold)


def test_the_worst_answers_are_the_nearest_to_the_truth() -> None:
    """First by how much more often than gold they tell it, then by how much they tell."""
    truth = "red green blue black"
    texts = ["red", "red green blue", "red green", truth, "red green blue black white"]
    excess = [1.0, 1.0, 1.0, 0.5, 0.0]
    ours = records([{"said": (truth, text, f"Which {k}?")} for k, text in enumerate(texts)])
    gold = records([{"said": (truth, "white", f"Which {k}?")} for k in range(len(texts))])
    rows = {"row": [f"r{k}" for k in range(len(texts))], "run": excess, "gold": 0.0}
    table = pd.DataFrame(rows | {"key": "forget.text.key_facts"})
    found = worst_answers(ours, gold, table)["forget.text.key_facts"]
    assert [line["answer"] for line in found] == [texts[1], texts[2], texts[0]]
    assert [line["person"] for line in found] == [1, 2, 0]
    assert {line["gold"] for line in found} == {"white"}
