"""The shapes of a metric: a value per row, a comparison of records, or a function of models."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import ClassVar

import numpy as np
import pandas as pd

from clearbench.data.modality import modality
from clearbench.errors import DataError, RecipeError
from clearbench.evaluation.records import Cell, Place
from clearbench.evaluation.score import Direction, Range, Score, mean_score

Cells = Mapping[Place, Cell]


class Measure:
    """What every metric says of itself. A named subclass in `evaluation/metrics/` is all it takes.

    Attributes:
        name: The last part of a score's key; `name#case` gives `name` on other rows.
        needs: What it is computed from, in words.
        directions: Where more is better (`up`), less (`down`) or gold's value is (`gold`), by
            split; `*` for the rest. On forgotten people the ideal is always gold's value.
        version: Raised whenever the number changes its meaning.
        erratum: The published defect that it reproduces; empty for a metric that is right.
        shows: A paragraph on what it shows and what it does not.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    directions: ClassVar[dict[str, Direction]] = {"forget": "gold", "*": "up"}
    range: ClassVar[Range] = (0.0, 1.0)
    version: ClassVar[int] = 1
    paper: ClassVar[str] = ""
    erratum: ClassVar[str] = ""
    shows: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            return
        known = _METRICS.get(cls.name)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise RecipeError(
                f"two metrics are called '{cls.name}'",
                f"{known.__module__} and {cls.__module__}",
                "rename one",
            )
        _METRICS[cls.name] = cls

    @classmethod
    def direction(cls, split: str) -> Direction:
        """What is good on this split."""
        return cls.directions.get(split, cls.directions["*"])


class Metric(Measure, ABC):
    """A value per row, from the records of one model.

    Attributes:
        tasks: Which rows it is for.
        splits: Which splits it is for; empty for all.
        pooled: Whether a row's value depends on the other rows (only published defects do that).
    """

    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption")
    splits: ClassVar[tuple[str, ...]] = ()
    pooled: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One value per row; an empty series where the records lack what it needs."""

    @classmethod
    def applies(cls, split: str, task: str) -> bool:
        """Whether it is defined for these rows."""
        return task in cls.tasks and (not cls.splits or split in cls.splits)

    @classmethod
    def values(cls, cell: Cell, split: str) -> pd.Series:
        """`per_row`, or what a published log says of the same metric.

        Raises:
            DataError: A value is not finite.
        """
        found = cell.logged_values(cls.name)
        if found.empty:
            found = cls.per_row(cell, split)
        if not np.isfinite(found).all():
            raise DataError(
                f"{cls.name} is not finite on {int((~np.isfinite(found)).sum())} rows",
                split,
                "the model's outputs are not finite; its run has diverged",
            )
        return found

    @classmethod
    def score(cls, cell: Cell, split: str) -> Score | None:
        """The mean over the rows; None where the records lack what it needs."""
        values = cls.values(cell, split)
        if values.empty:
            return None
        found = mean_score(values, cell.people, cls.direction(split), cls.version, cls.range)
        return found.model_copy(update={"chance": cls.chance(cell)})

    @classmethod
    def chance(cls, cell: Cell) -> float | None:
        """What guessing gives, for metrics of choosing one of several options."""
        return None


@dataclass(frozen=True)
class View:
    """What a comparison sees: a model's records, and gold's and the original's if given."""

    cells: Cells
    reference: Cells = field(default_factory=dict)
    original: Cells = field(default_factory=dict)

    def main(self, split: str, track: str, of: Cells | None = None) -> Cell | None:
        """The records of a split on the main task of a modality."""
        return (self.cells if of is None else of).get((split, track, modality(track).main_task))


class Comparison(Measure, ABC):
    """Numbers about several splits, tracks or models at once."""

    @classmethod
    @abstractmethod
    def compare(cls, view: View, track: str) -> dict[str, Score]:
        """Scores by key; none where the records lack what it needs."""

    @classmethod
    def scored(cls, value: float, n: int, clusters: int, statistic: float | None = None) -> Score:
        """A number without an interval."""
        return Score(
            value=value,
            n=n,
            clusters=clusters,
            direction=cls.direction("forget"),
            range=cls.range,
            statistic=statistic,
            version=cls.version,
        )


class ModelMeasure(Measure):
    """A number that records do not hold enough for: it is computed where the models are."""


_METRICS: dict[str, type[Measure]] = {}


@cache
def _discover() -> None:
    package = importlib.import_module("clearbench.evaluation.metrics")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"clearbench.evaluation.metrics.{module.name}")
    for entry in entry_points(group="clearbench.metrics"):
        entry.load()


def metrics() -> dict[str, type[Measure]]:
    """Every known metric by name."""
    _discover()
    return dict(sorted(_METRICS.items()))
