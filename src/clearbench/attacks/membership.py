"""Base of membership attacks: a score per row that should separate forgotten from held-out people.

An attack's AUC measures how well the score separates forget from holdout people; gold's value,
about 1/2, is the goal, and 0 leaks as much as 1.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np

from clearbench.attacks.base import ATTACKED, Attack, Target
from clearbench.attacks.roc import above, attack_numbers, auc
from clearbench.data.dataset import Split
from clearbench.data.modality import modalities, modality
from clearbench.evaluation.description import Description
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.intervals import clustered_error, interval
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Range, Score
from clearbench.evaluation.tables import GroupKey
from clearbench.evaluation.verdict.rests_on import MEMBERSHIP
from clearbench.libraries import pd

#: Splits of people who were in the training data, and of people who were not.
SIDES: tuple[Split, ...] = ("forget", "holdout")
#: End of the keys of PrivLeak, and of what it is.
LEAK = "privleak"
_UNDEFINED = " PrivLeak is not there where gold's AUC is 1, as it is divided by 1 less that."
#: Numbers of a membership attack in print.
NUMBERS = {
    "auc": "AUC",
    "tpr_at_1": "true positives at 1 % false ones",
    "tpr_at_01": "true positives at 0.1 % false ones",
    LEAK: "PrivLeak",
}
#: Values per row and the person of each row.
Rows = tuple["pd.Series", dict[str, int]]


def attacked_group(records: Records | None, split: str, track: str) -> RecordGroup | None:
    """Returns the rows of a split that are attacked: of the first task that both sides have.

    The main task comes first, then a classifier's only one, then the modality's others.

    Args:
        records: Records of a model; None gives None.
        split: Split of the rows.
        track: Modality of the rows.
    """
    if records is None or track not in modalities():
        return None
    groups, entry = records.groups(), modality(track)
    first = (entry.main_task, entry.identifying_task)
    shared = (
        task
        for task in (*first, *entry.tasks)
        if all(GroupKey(side, track, task) in groups for side in SIDES)
    )
    keys = (GroupKey(split, track, task) for task in (*shared, *first))
    return next((groups[key] for key in keys if key in groups), None)


class MembershipAttack(Attack):
    """AUC, true-positive rates and PrivLeak of a score per row, forget against holdout."""

    tries: ClassVar[str] = MEMBERSHIP

    @abstractmethod
    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes values per row, higher for non-members; empty where the records lack them.

        Args:
            collections: Records of the models that it is compared with.
            group: Rows of one split of the attacked model, or of gold.
        """

    def table(self, target: Target) -> pd.DataFrame:
        """Computes one line per row of the main task of both sides on every track."""
        collections = target.collections
        return ATTACKED.frame(
            (*group.key, group.people[str(row)], row, self.score_key, value)
            for track in collections.tracks
            for split in SIDES
            if (group := attacked_group(collections.model, split, track)) is not None
            for row, value in self.row_values(collections, group).items()
        )

    def scores(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes AUC with an interval, rates with enough rows, and PrivLeak where it is there."""
        sides = self.sides(collections, collections.model, track)
        if sides is None:
            return {}
        (members, others), gold = sides, self.sides(collections, collections.gold, track)
        reference = None if gold is None else auc(gold[0][0], gold[1][0])
        area = self._area(members, others)
        numbers = attack_numbers(members[0], others[0], reference)
        return {
            f"forget.{track}.{self.score_key}_{name}": area
            if name == "auc"
            else _on_same_rows(area, number, (None, None) if name == LEAK else (0.0, 1.0))
            for name, number in numbers.items()
        }

    def numbers(self) -> dict[str, Description]:
        """Describes the AUC, the rates and PrivLeak, by the last part of their keys."""
        whole = self.description
        return {
            f"{self.score_key}_{name}": replace(
                whole,
                key=f"{self.score_key}_{name}",
                title=f"{whole.title}: {title}",
                shows=whole.shows + (_UNDEFINED if name == LEAK else ""),
            )
            for name, title in NUMBERS.items()
        }

    def sides(
        self, collections: Collections, records: Records | None, track: str
    ) -> tuple[Rows, Rows] | None:
        """Returns values and people of forget and holdout rows; None where one is missing."""
        sides = []
        for split in SIDES:
            group = attacked_group(records, split, track)
            values = None if group is None else self.row_values(collections, group)
            if group is None or values is None or values.empty:
                return None
            sides.append((values, group.people))
        return sides[0], sides[1]

    def _area(self, members: Rows, others: Rows) -> Score:
        """Computes the AUC; its error adds both sides', clustered by person (Obuchowski 1997)."""
        (ours, our_people), (theirs, their_people) = members, others
        value = auc(ours, theirs)
        sides = (
            (pd.Series(above(ours, theirs), index=ours.index), our_people),
            (pd.Series(1 - above(theirs, ours), index=theirs.index), their_people),
        )
        (first, n_first), (second, n_second) = (clustered_error(*side) for side in sides)
        low, high = interval(value, float(np.hypot(first, second)), min(n_first, n_second), (0, 1))
        return Score(
            value=value,
            low=low,
            high=high,
            n=len(ours) + len(theirs),
            clusters=n_first + n_second,
            direction=self.direction("forget"),
            range=self.description.range,
            version=self.version,
        )


def _on_same_rows(area: Score, value: float, bounds: Range) -> Score:
    """Builds another number on the rows of an AUC, without an interval."""
    return area.model_copy(update={"value": value, "range": bounds, "low": None, "high": None})
