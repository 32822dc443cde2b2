"""Bases of metrics: one value per row, or numbers from several collections of records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from clearbench.data.modality import modalities, modality
from clearbench.errors import DataError
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Measure, configured
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.tables import GroupKey
from clearbench.libraries import pd
from clearbench.plugins import Registry


class Metric(Measure, ABC):
    """A value per measured row, from the records of one model; the score is their mean.

    Attributes:
        tasks: Tasks whose rows it is for.
        splits: Splits whose rows it is for; empty for all.
    """

    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption")
    splits: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one value per row; an empty series where the records lack what it needs."""

    def applies(self, key: GroupKey) -> bool:
        """Whether it is defined for the rows of a group."""
        return key.task in self.tasks and (not self.splits or key.split in self.splits)

    def values(self, group: RecordGroup) -> pd.Series:
        """Returns `per_row`, or the values of the same metric that a published log holds.

        Raises:
            DataError: A value is no finite number, or of no row.
        """
        values = group.logged_values(self.own_key)
        if values.empty:
            values = self._by_row(group)
        if not np.isfinite(values).all():
            raise DataError(
                f"{self.own_key} is not finite on {int((~np.isfinite(values)).sum())} rows",
                group.key.split,
                "the model's outputs are not finite; its run has diverged",
            )
        return values

    def _by_row(self, group: RecordGroup) -> pd.Series:
        """Returns `per_row`, checked to be numbers by row."""
        values, fix = self.per_row(group), "return a pandas Series with a number per row"
        if not isinstance(values, pd.Series):
            what = f"{self.own_key} gives {type(values).__name__}, not a Series"
            raise DataError(what, group.key.split, fix)
        if values.empty:
            return values
        if not pd.api.types.is_numeric_dtype(values):
            what = f"{self.own_key} gives values of type {values.dtype}, not numbers"
            raise DataError(what, group.key.split, fix)
        if not values.index.is_unique or not {*values.index} <= {*group.people}:
            what = f"{self.own_key} gives values of rows that are not there, or are there twice"
            raise DataError(what, group.key.split, fix)
        return values

    def score(self, group: RecordGroup) -> Score | None:
        """Computes the mean over the rows; None where the records lack what it needs."""
        values = self.values(group)
        if values.empty:
            return None
        mean = self.mean(values, group.people, group.key.split)
        return mean.model_copy(update={"chance": self.chance(group)})

    def chance(self, group: RecordGroup) -> float | None:
        """Returns the score of random guessing, for metrics of choosing one of several options."""
        return None


@dataclass(frozen=True)
class Shadow:
    """Records of a model that an attack learns from, because it is known whom it was taught.

    Attributes:
        records: Its records on the rows that are attacked; of the model after unlearning where
            unlearning is attacked.
        taught: People among those of the attacked rows (forget and holdout) whom it was once
            taught. It was never taught the others.
    """

    records: Records
    taught: frozenset[int]


@dataclass(frozen=True)
class Collections:
    """Records that a score is computed from.

    Attributes:
        model: Records of the model that is scored.
        golds: Records of models never trained on the forgotten people; the first is the reference.
        originals: Records of the model before unlearning.
        controls: The model's records under changed media, by control.
        shadows: Shadow models made as the scored model was, from other people, for attacks.
        borrowed: Whether the shadow models were made like another model than `model`: attacks may
            learn from them, but what they say of themselves is not about `model`.
    """

    model: Records
    golds: tuple[Records, ...] = ()
    originals: tuple[Records, ...] = ()
    controls: Mapping[str, Records] = field(default_factory=dict, hash=False)
    shadows: tuple[Shadow, ...] = ()
    borrowed: bool = False

    @property
    def gold(self) -> Records | None:
        """Records of the first gold, the reference."""
        return self.golds[0] if self.golds else None

    @property
    def original(self) -> Records | None:
        """Records of the first original."""
        return self.originals[0] if self.originals else None

    @property
    def tracks(self) -> list[str]:
        """Tracks that the model was measured on."""
        return sorted({key.track for key in self.model.groups()})

    def of(self, model: Records) -> Collections:
        """Returns the same collections with another model in place of the scored one."""
        borrowed = self.borrowed or (bool(self.shadows) and model is not self.model)
        return replace(self, model=model, borrowed=borrowed)


def main_group(records: Records | None, split: str, track: str) -> RecordGroup | None:
    """Returns the group of a split on the main task of a modality, if measured."""
    if records is None or track not in modalities():
        return None
    return records.groups().get(GroupKey(split, track, modality(track).main_task))


def scored_groups(
    chosen: Metric, groups: Mapping[GroupKey, RecordGroup]
) -> dict[GroupKey, RecordGroup]:
    """Returns the groups that a metric scores: only the main task's where it can score that one.

    The key of a score names no task, so that one task of a split and track stands under it.
    """
    able = {key: group for key, group in groups.items() if chosen.applies(key)}
    known = modalities()
    main = {key for key in able if key.track in known and key.task == known[key.track].main_task}
    places = {(key.split, key.track) for key in main}
    return {
        key: group
        for key, group in able.items()
        if key in main or (key.split, key.track) not in places
    }


class Comparison(Measure, ABC):
    """Numbers about several splits, tracks or models at once."""

    @abstractmethod
    def compare(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes scores by key; none where the records lack what it needs."""

    def scored(self, value: float, n: int, clusters: int, statistic: float | None = None) -> Score:
        """Builds a score without an interval."""
        return Score(
            value=value,
            n=n,
            clusters=clusters,
            direction=self.direction("forget"),
            range=self.description.range,
            statistic=statistic,
            version=self.version,
        )


METRICS: Registry[Metric | Comparison] = Registry(
    "metric", "clearbench.evaluation.metrics", "clearbench.metrics"
)
Metric.registry = Comparison.registry = METRICS


def metrics() -> dict[str, type[Metric | Comparison]]:
    """Returns every metric class by name: shipped, of entry points and of loaded plugins."""
    return dict(METRICS)


def metric(name: str, **parameters: Any) -> Metric | Comparison:
    """Builds a metric by name with checked parameters.

    Raises:
        RecipeError: A name or parameter is unknown, or a value is out of range.
    """
    made: Metric | Comparison = configured(METRICS, name, parameters)
    return made
