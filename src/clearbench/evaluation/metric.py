"""The shape of a metric: what it applies to and its value per row, from records alone."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from importlib.metadata import entry_points
from typing import ClassVar

import pandas as pd

from clearbench.errors import RecipeError
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Direction


class Metric(ABC):
    """Base of all metrics. A subclass with a `name` in `evaluation/metrics/` is all it takes.

    Attributes:
        name: The last part of a score's key.
        tasks: Which rows it is for.
        splits: Which splits it is for; empty for all.
        directions: Where more is better (`up`), less (`down`) or gold's value is (`gold`), by
            split; `*` for the rest.
        version: Raised whenever the number changes its meaning.
        shows: One sentence on what it shows and what it does not.
    """

    name: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption")
    splits: ClassVar[tuple[str, ...]] = ()
    directions: ClassVar[dict[str, Direction]] = {"forget": "gold", "*": "up"}
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    version: ClassVar[int] = 1
    paper: ClassVar[str] = ""
    shows: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if not cls.name:
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
    @abstractmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One value per row; an empty series where the records lack what it needs."""

    @classmethod
    def applies(cls, split: str, task: str) -> bool:
        """Whether it is defined for these rows."""
        return task in cls.tasks and (not cls.splits or split in cls.splits)

    @classmethod
    def direction(cls, split: str) -> Direction:
        """What is good on this split."""
        return cls.directions.get(split, cls.directions["*"])


_METRICS: dict[str, type[Metric]] = {}


def metrics() -> dict[str, type[Metric]]:
    """Every known metric by name."""
    package = importlib.import_module("clearbench.evaluation.metrics")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"clearbench.evaluation.metrics.{module.name}")
    for entry in entry_points(group="clearbench.metrics"):
        entry.load()
    return dict(sorted(_METRICS.items()))
