"""What every metric must hold to, checked on the records of tiny models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from clearbench.data.modality import modalities
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.metric import Cells, Comparison, Measure, Metric, View
from clearbench.evaluation.prompts import WAYS
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Score
from clearbench.testing.world import base, taught, tiny_dataset

#: Rounding that a value may lie outside its range by.
ROUNDING = 1e-9


@cache
def _cells(trained: bool = True) -> Cells:
    """Records of a tiny model; some people play those held out, who are in no training set."""
    model = (taught if trained else base)("vision-language")
    records = evaluate(model, tiny_dataset(), asks=tuple(WAYS), max_new_tokens=8)
    cells = records.cells()
    return cells | {
        ("holdout", track, task): cell
        for (split, track, task), cell in cells.items()
        if split == "retain"
    }


@cache
def _recognised() -> Cells:
    """Records of a tiny classifier."""
    return evaluate(taught("classifier"), tiny_dataset().naming()).cells()


def _copy(cell: Cell) -> Cell:
    return _each_frame(cell, lambda frame: frame.copy(deep=True))


def _each_frame(cell: Cell, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Cell:
    return Cell(*(change(getattr(cell, each.name)) for each in fields(cell)))


def typical_cells(cls: type[Metric]) -> Iterator[tuple[str, Cell]]:
    """Splits and their records that the metric is for."""
    cells = (*_cells().items(), *_recognised().items())
    for (split, _, task), cell in cells:
        if cls.applies(split, task):
            yield split, _copy(cell)


def typical_view(rows: Callable[[Cell], Cell] = _copy) -> View:
    """A model, a gold and an original that know nobody, their records changed by `rows`."""
    ours, gold = (
        {place: rows(cell) for place, cell in _cells(trained).items()} for trained in (True, False)
    )
    return View(ours, gold, gold)


def _only(cell: Cell, rows: set[str]) -> Cell:
    """The cell with some of its rows; what is known of others stays."""
    chosen = _each_frame(cell, lambda frame: frame[frame["row"].isin(rows)])
    return replace(chosen, known=cell.known)


def _must(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def _same(first: pd.Series, second: pd.Series) -> bool:
    same = np.allclose(first, second, rtol=ROUNDING, atol=0) if len(first) == len(second) else False
    return first.index.equals(second.index) and same


def _bounds(cls: type[Measure]) -> tuple[float, float]:
    low, high = cls.range
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _described(cls: type[Measure]) -> None:
    _must(cls.name, "no name")
    _must(isinstance(cls.version, int) and cls.version >= 1, f"version is {cls.version!r}")
    _must(cls.shows.strip(), "`shows` does not say what it shows")
    _must((cls.__doc__ or "").strip(), "no docstring")
    _must(cls.needs, "`needs` does not say what it is computed from")
    low, high = _bounds(cls)
    _must(low < high, f"range is {cls.range}")
    _must("*" in cls.directions, "no direction for `*`")


def _applies(cls: type[Metric]) -> None:
    values = [cls.per_row(cell, split) for split, cell in typical_cells(cls)]
    _must(values, "applies to no split and task")
    _must(any(len(each) for each in values), "gives no value on any typical records")


def _finite_in_range(cls: type[Metric]) -> None:
    low, high = _bounds(cls)
    for split, cell in typical_cells(cls):
        values = cls.per_row(cell, split).to_numpy(dtype=float)
        _must(np.isfinite(values).all(), f"not finite on {split}: {values}")
        inside = ((values >= low - ROUNDING) & (values <= high + ROUNDING)).all()
        _must(inside, f"outside {cls.range} on {split}: {values}")


def _one_value_a_row(cls: type[Metric]) -> None:
    for split, cell in typical_cells(cls):
        rows = cls.per_row(cell, split).index
        _must(rows.is_unique, f"several values a row on {split}")
        _must(set(rows) <= set(cell.people), f"values of unknown rows on {split}")


def _order(cls: type[Metric]) -> None:
    for split, cell in typical_cells(cls):
        first = cls.per_row(cell, split).sort_index()
        second = cls.per_row(_mixed(cell), split).sort_index()
        _must(_same(first, second), f"{split}: order matters")


def _single(cls: type[Metric]) -> None:
    if cls.pooled:
        return
    for split, cell in typical_cells(cls):
        whole = cls.per_row(cell, split)
        for row in whole.index[:2]:
            alone = cls.per_row(_only(cell, {str(row)}), split)
            _must(_same(alone, whole.loc[[row]]), f"{split}: a row's value depends on others")


def _empty(cls: type[Metric]) -> None:
    for split, cell in typical_cells(cls):
        values = cls.per_row(_only(cell, set()), split)
        _must(isinstance(values, pd.Series), "nothing measured gives no series")
        _must(values.empty, f"nothing measured gives {len(values)} values")


def _pure(cls: type[Metric]) -> None:
    for split, cell in typical_cells(cls):
        before = _copy(cell)
        cls.per_row(cell, split)
        for each in fields(cell):
            same = getattr(before, each.name).equals(getattr(cell, each.name))
            _must(same, f"{split}: the {each.name} were changed")


def _mixed(cell: Cell) -> Cell:
    return _each_frame(cell, lambda frame: frame.sample(frac=1, random_state=1))


def _compared(cls: type[Comparison], view: View) -> dict[str, Score]:
    return {k: v for track in modalities() for k, v in cls.compare(view, track).items()}


def _comparison_applies(cls: type[Comparison]) -> None:
    found = _compared(cls, typical_view())
    _must(found, "gives no score on any typical records")
    for key in found:
        _must(key.split(".")[2].startswith(cls.name), f"'{key}' does not have its name")


def _comparison_in_range(cls: type[Comparison]) -> None:
    for key, each in _compared(cls, typical_view()).items():
        low, high = (-np.inf if each.range[0] is None else each.range[0], each.range[1])
        _must(np.isfinite(each.value), f"{key} is {each.value}")
        inside = low - ROUNDING <= each.value <= (np.inf if high is None else high) + ROUNDING
        _must(inside, f"{key} = {each.value} outside {each.range}")


def _comparison_order(cls: type[Comparison]) -> None:
    if cls.erratum:
        return
    first, second = _compared(cls, typical_view()), _compared(cls, typical_view(_mixed))
    for key, each in first.items():
        _must(np.isclose(each.value, second[key].value), f"{key}: order matters")


def _comparison_empty(cls: type[Comparison]) -> None:
    found = _compared(cls, typical_view(lambda cell: _only(cell, set())))
    _must(not found, f"nothing measured gives {list(found)}")


def _comparison_pure(cls: type[Comparison]) -> None:
    view, before = typical_view(), typical_view()
    _compared(cls, view)
    for ours, theirs in ((view.cells, before.cells), (view.reference, before.reference)):
        same = all(ours[p].answers.equals(theirs[p].answers) for p in theirs)
        _must(same, "the records were changed")


_DESCRIBED: dict[str, Callable[[Any], None]] = {"says what it is, with a version": _described}
_ROWS: dict[str, Callable[[Any], None]] = {
    "applies somewhere": _applies,
    "finite and in range": _finite_in_range,
    "one value a row": _one_value_a_row,
    "row order changes nothing": _order,
    "a single row keeps its value": _single,
    "nothing measured gives nothing": _empty,
    "leaves the records alone": _pure,
}
_COMPARISONS: dict[str, Callable[[Any], None]] = {
    "applies somewhere": _comparison_applies,
    "finite and in range": _comparison_in_range,
    "row order changes nothing": _comparison_order,
    "nothing measured gives nothing": _comparison_empty,
    "leaves the records alone": _comparison_pure,
}


def check_metric(cls: type[Measure]) -> list[str]:
    """Checks a metric on the records of tiny vision-language models and a tiny classifier.

    A `Metric` and a `Comparison` are computed; a `ModelMeasure` is only asked to describe itself.

    Returns:
        The names of the checks, all passed.

    Raises:
        AssertionError: At the first check that fails, with check and metric.
    """
    checks = dict(_DESCRIBED)
    checks |= _ROWS if issubclass(cls, Metric) else {}
    checks |= _COMPARISONS if issubclass(cls, Comparison) else {}
    for name, check in checks.items():
        try:
            check(cls)
        except Exception as error:
            raise AssertionError(f"{name}: {cls.name or cls.__name__}: {error}") from error
    return list(checks)
