"""Holds the stages and rows that a run makes."""

from __future__ import annotations

from dataclasses import dataclass

from clearbench.data.dataset import Dataset
from clearbench.runs.plan import Family, PlannedBand, PlannedRow
from clearbench.runs.stage import Stage
from clearbench.runs.stages.data import DataStage
from clearbench.runs.store import Store


@dataclass(frozen=True)
class RunPlan:
    """Stages and rows that a run makes.

    Attributes:
        store: Store that keeps the stages.
        data: Finished stage of the people.
        dataset: Dataset of the people.
        families: Rows of the results.
        bands: Null bands of golds.
    """

    store: Store
    data: DataStage
    dataset: Dataset
    families: tuple[Family, ...]
    bands: tuple[PlannedBand, ...]

    @property
    def rows(self) -> tuple[PlannedRow, ...]:
        """Rows in the order of the results."""
        return tuple(row for family in self.families for row in family.rows)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages that no other stage starts from."""
        attacks = (stage for row in self.rows for stage in row.attacks.values())
        return (*(row.score for row in self.rows), *attacks, *(band.stage for band in self.bands))
