"""Base of attacks that learn from shadow models: whom they were taught is known.

They judge twice: the given model, with all shadow models to learn from, and, as what can be said
of the method, the shadow models themselves, each with the others to learn from. The first is the
question of somebody who holds one model; the second is the number of CLEAR and of U-LIRA's paper,
steadier because every person was taught to many models and to many others not.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clearbench.attacks.base import Target
from clearbench.attacks.matches import signal_of
from clearbench.attacks.membership import NUMBERS, SIDES, MembershipAttack, attacked_group
from clearbench.attacks.pairs import Estimate, Pairs
from clearbench.attacks.signals import Design, Mask, Numbers, Signals
from clearbench.errors import RecipeError
from clearbench.evaluation.description import Description
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.intervals import interval
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.libraries import pd

#: Signal of a row: the mean log-probability of its answer, the logit of its exponential, or that
#: logit as CLEAR's code computes it.
Signal = Literal["logit", "log_prob", "clear_code"]
#: Design by which the shadow models are attacked.
OfMethod = Literal["leave one out", "halves"]
#: Largest log-probability: 1 less half the spacing of single precision, in which models answer.
MOST = -(2.0**-24)
#: Numbers in print, besides an AUC and rates.
SHADOW_NUMBERS = {"auc": "AUC", "accuracy": "balanced accuracy"} | {
    name: title for name, title in NUMBERS.items() if name.startswith("tpr")
}
_METHOD = "method_"
_MODELS = "shadow_models"


def logit(log_probs: Numbers) -> Numbers:
    """Computes log p - log(1 - p) from log p, which is cut at the precision of single floats.

    Of a classifier this is the label's logit less the log-sum-exp of the others. Errata E58: with
    1e-45 in place of the cut, a row that a model is sure of stands a hundred away from the others.
    """
    cut = np.minimum(log_probs, MOST)
    found: Numbers = cut - np.log(-np.expm1(cut))
    return found


@dataclass(frozen=True)
class Pool:
    """Signals of a model and its shadow models on rows of forget and holdout people.

    Attributes:
        signals: Signals; the first model is the given one.
        splits: Split of each row, (rows,).
        rows: Id of each row, (rows,).
    """

    signals: Signals
    splits: NDArray[np.str_]
    rows: tuple[str, ...]

    def of_shadows(self) -> Signals:
        """Returns the signals of the shadow models alone."""
        whole = self.signals
        return Signals(whole.values[1:], whole.taught[1:], whole.people)


@lru_cache(maxsize=4)
def pool(collections: Collections, track: str, signal: Signal) -> Pool | None:
    """Builds the signals of a track on the rows that the model and every shadow model answered.

    Args:
        collections: Records of the attacked model and its shadow models.
        track: Track whose main task is attacked.
        signal: Number per row.

    Returns:
        Signals; None without shadow models or without rows of a side.
    """
    if not collections.shadows:
        return None
    models = (collections.model, *(shadow.records for shadow in collections.shadows))
    found = [_values(records, track, signal) for records in models]
    parts, splits, people = [], [], []
    for split in SIDES:
        groups = [values.get(split) for values in found]
        if any(values is None for values in groups):
            return None
        table = pd.concat(groups, axis=1, join="inner")
        group = attacked_group(collections.model, split, track)
        if table.empty or group is None:
            return None
        parts.append(table)
        splits += [split] * len(table)
        people += [group.people[str(row)] for row in table.index]
    table, owners = pd.concat(parts), np.array(people, dtype=np.int64)
    known: list[Sequence[int]] = [sorted(shadow.taught) for shadow in collections.shadows]
    taught = np.array([np.array(splits) == "forget", *(np.isin(owners, each) for each in known)])
    signals = Signals(table.to_numpy(dtype=float).T, taught, owners)
    return Pool(signals, np.array(splits), tuple(map(str, table.index)))


def _values(records: Records, track: str, signal: Signal) -> dict[str, pd.Series]:
    """Computes the signals of a model by split and row."""
    values: dict[str, pd.Series] = {}
    for split in SIDES:
        group = attacked_group(records, split, track)
        logs = pd.Series(dtype=float) if group is None else group.mean_log_prob("answer")
        if not logs.empty:
            numbers = np.minimum(logs.to_numpy(dtype=float), 0.0)
            if signal == "logit":
                numbers = logit(numbers)
            elif signal == "clear_code":
                numbers = signal_of(np.exp(numbers), signal)
            values[split] = pd.Series(numbers, index=logs.index)
    return values


class ShadowAttack(MembershipAttack):
    """Area, balanced accuracy and rates of evidence that is learned from shadow models.

    Attributes:
        signal: Number per row that it reads.
        decides: Whether evidence above 0 means `taught`: whether it has an accuracy.
        design: Shadow models that are attacked, and those that the attacks on them learn from.
    """

    signal: ClassVar[Signal] = "logit"
    decides: ClassVar[bool] = True

    design: OfMethod = "leave one out"

    @abstractmethod
    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes evidence, higher for rows that look taught, and what was attacked.

        Returns:
            Evidence and whether the pair was attacked, both (models, rows).
        """

    def table(self, target: Target) -> pd.DataFrame:
        """Computes one line per row of both sides of the given model, higher for never taught."""
        if not target.collections.shadows:
            raise RecipeError(
                f"{self.name} needs shadow models",
                "attack",
                "give records of models taught other people, and whom each was taught",
            )
        return super().table(target)

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes -1 x the evidence on the given model's rows."""
        given = pool(collections, group.key.track, self.signal)
        if given is None:
            return pd.Series(dtype=float)
        values = -self.evidence(given.signals, "first")[0][0]
        mine = given.splits == group.key.split
        return pd.Series(values[mine], index=np.array(given.rows)[mine], dtype=float)

    def scores(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes the numbers of the given model, and of the shadow models made as it was."""
        given = pool(collections, track, self.signal)
        if given is None:
            return {}
        judged: list[tuple[str, Signals, Design]] = [("", given.signals, "first")]
        if not collections.borrowed:
            judged.append((_METHOD, given.of_shadows(), self.design))
        found: dict[str, Score] = {}
        for prefix, signals, design in judged:
            found |= self._judged(prefix, signals, design)
        return self._by_key(found, len(collections.shadows), track)

    def method_scores(self, signals: Signals, track: str) -> dict[str, Score]:
        """Computes the numbers of shadow models alone, by key: what can be said of a method.

        Args:
            signals: Signals of shadow models that were all made alike.
            track: Track of the rows.
        """
        return self._by_key(self._judged(_METHOD, signals, self.design), len(signals.values), track)

    def _judged(self, prefix: str, signals: Signals, design: Design) -> dict[str, Score]:
        evidence, attacked = self.evidence(signals, design)
        people = np.broadcast_to(signals.people, attacked.shape)
        models = np.broadcast_to(np.arange(len(people))[:, None], attacked.shape)
        taught = signals.taught[attacked]
        pairs = Pairs(evidence[attacked], taught, people[attacked], models[attacked])
        return {f"{prefix}{name}": score for name, score in self._numbers(pairs).items()}

    def _by_key(self, found: dict[str, Score], models: int, track: str) -> dict[str, Score]:
        whole = next(score for name, score in found.items() if name.endswith("auc"))
        count = {"value": float(models), "range": (0.0, None), "low": None, "high": None}
        every = {**found, _MODELS: whole.model_copy(update=count)}
        return {f"forget.{track}.{self.score_key}_{name}": value for name, value in every.items()}

    def numbers(self) -> dict[str, Description]:
        """Describes the numbers of the given model and of the method, by the last part of keys."""
        titles = {name: title for name, title in SHADOW_NUMBERS.items() if self._gives(name)}
        of_method = {f"{_METHOD}{name}": f"{title} of the method" for name, title in titles.items()}
        whole = self.description
        return {
            f"{self.score_key}_{name}": replace(
                whole, key=f"{self.score_key}_{name}", title=f"{whole.title}: {title}"
            )
            for name, title in (titles | of_method | {_MODELS: "shadow models"}).items()
        }

    def _gives(self, name: str) -> bool:
        return self.decides or name != "accuracy"

    def _numbers(self, pairs: Pairs) -> dict[str, Score]:
        estimates = {"auc": pairs.area()} | ({"accuracy": pairs.accuracy()} if self.decides else {})
        rates = {name: Estimate(rate, 0.0, 0) for name, rate in pairs.rates().items()}
        return {name: self._score(made, pairs) for name, made in (estimates | rates).items()}

    def _score(self, made: Estimate, pairs: Pairs) -> Score:
        low, high = interval(made.value, made.error, made.clusters, (0.0, 1.0))
        return Score(
            value=made.value,
            low=low,
            high=high,
            n=len(pairs.evidence),
            clusters=len(np.unique(pairs.people)),
            direction=self.direction("forget"),
            version=self.version,
        )
