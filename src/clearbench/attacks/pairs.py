"""Scores evidence on pairs of a model and a row: area, balanced accuracy and rates, by person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clearbench.attacks.roc import FALSE_POSITIVE_RATES, ROWS_PER_RATE, above, auc, tpr_at
from clearbench.attacks.signals import Mask, Numbers, People


class Estimate(NamedTuple):
    """A number with its standard error.

    Attributes:
        value: Number.
        error: Standard error by person; 0 where there is one person.
        clusters: People on the smaller side.
    """

    value: float
    error: float
    clusters: int


@dataclass(frozen=True)
class Pairs:
    """Evidence on pairs of a model and a row.

    The two sides may be of the same people, when some models were taught a person and others were
    not, or of different ones, when there is one model.

    Attributes:
        evidence: Numbers, higher for rows that look taught, (pairs,); above 0 the attack says
            `taught`, if it decides at all.
        taught: Whether the model was once taught the row, (pairs,).
        people: Person of each pair's row, (pairs,).
    """

    evidence: Numbers
    taught: Mask
    people: People

    def area(self) -> Estimate:
        """Computes the probability that a taught pair has more evidence than one never taught.

        A person's part in it is the sum of the parts of its pairs on both sides (Obuchowski 1997).
        """
        members, others = -self.evidence[self.taught], -self.evidence[~self.taught]
        shares = np.empty(len(self.evidence))
        shares[self.taught], shares[~self.taught] = (
            above(members, others),
            1 - above(others, members),
        )
        return self._by_side(shares, auc(members, others), 1.0)

    def accuracy(self) -> Estimate:
        """Computes the mean of both sides' shares of right decisions; evidence 0 is half right."""
        right = np.where(self.taught, self.evidence > 0, self.evidence < 0).astype(float)
        right[self.evidence == 0] = 0.5
        both = [right[side].mean() for side in (self.taught, ~self.taught)]
        return self._by_side(right, float(np.mean(both)), 0.5)

    def rates(self) -> dict[str, float]:
        """Computes the true-positive rates at the false ones that there are enough pairs for."""
        members, others = -self.evidence[self.taught], -self.evidence[~self.taught]
        return {
            name: tpr_at(members, others, rate)
            for name, rate in FALSE_POSITIVE_RATES.items()
            if len(others) >= ROWS_PER_RATE / rate
        }

    def _by_side(self, shares: Numbers, value: float, weight: float) -> Estimate:
        """Adds the error of `weight` times the sum of both sides' means of `shares`.

        The variance is that of sums by person with the correction G / (G - 1), where G counts the
        people on the smaller side.
        """
        people, index = np.unique(self.people, return_inverse=True)
        parts = np.zeros(len(people))
        counts = []
        for side in (self.taught, ~self.taught):
            residuals = weight * (shares[side] - shares[side].mean()) / side.sum()
            parts += np.bincount(index[side], weights=residuals, minlength=len(people))
            counts.append(len(np.unique(self.people[side])))
        few = min(counts)
        return Estimate(value, float(np.sqrt(few / max(1, few - 1) * (parts**2).sum())), few)
