"""Every metric keeps the contract, and the contract can be broken."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from clearbench.evaluation import metric
from clearbench.evaluation.metric import Comparison, Metric, ModelMeasure, metrics
from clearbench.evaluation.metrics.probability import Probability
from clearbench.evaluation.records import Cell
from clearbench.testing import check_metric


@pytest.mark.parametrize("name", list(metrics()))
def test_contract(name: str) -> None:
    passed = check_metric(metrics()[name])
    least = {Metric: 8, Comparison: 6, ModelMeasure: 1}
    (count,) = (n for kind, n in least.items() if issubclass(metrics()[name], kind))
    assert len(passed) == len(set(passed)) == count


def made(change: Any, **about: Any) -> type[Metric]:
    """A copy of `probability` whose values are changed by a function of (values, cell)."""

    def per_row(cls: type[Metric], cell: Cell, split: str) -> pd.Series:
        return change(Probability.per_row(cell, split), cell)

    content = {"name": "broken", "__doc__": "Broken.", "shows": "Nothing.", "tasks": ("qa",)}
    content |= {"needs": ("answer",)}
    return type("Broken", (Metric,), content | about | {"per_row": classmethod(per_row)})


def spoil(values: pd.Series, cell: Cell) -> pd.Series:
    cell.answers.loc[:, "person"] = 7
    return values


@pytest.mark.parametrize(
    ("change", "about", "check"),
    [
        (lambda v, _: v + 1, {}, "finite and in range"),
        (lambda v, _: v * float("nan"), {}, "finite and in range"),
        (lambda v, _: v / max(1, len(v)), {}, "a single row keeps its value"),
        (lambda v, _: v * [k / 100 for k in range(len(v))], {}, "row order changes nothing"),
        (lambda v, _: pd.concat([v, v]), {}, "one value a row"),
        (lambda v, _: v if len(v) else pd.Series([0.0]), {}, "nothing measured gives nothing"),
        (lambda v, _: v, {"version": 0}, "with a version"),
        (lambda v, _: v, {"shows": " "}, "says what it is"),
        (lambda v, _: v, {"needs": ()}, "says what it is"),
        (lambda v, _: v, {"tasks": ("song",)}, "applies somewhere"),
        (spoil, {}, "leaves the records alone"),
    ],
)
def test_a_broken_metric_is_caught(
    change: Any, about: dict[str, Any], check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric, "_METRICS", dict(metrics()))
    with pytest.raises(AssertionError, match=check):
        check_metric(made(change, **about))


def test_two_metrics_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric, "_METRICS", dict(metrics()))
    with pytest.raises(metric.RecipeError, match="two metrics are called 'probability'"):
        type("Another", (Metric,), {"name": "probability"})
