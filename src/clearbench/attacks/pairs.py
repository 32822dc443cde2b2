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
        models: Model of each pair, (pairs,).
    """

    evidence: Numbers
    taught: Mask
    people: People
    models: People

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

        What a person's rows have in common and what a model's have both count (Cameron, Gelbach and
        Miller 2011): the variance of sums by person, and by model where there are several, less
        that of sums by both, each with the correction G / (G - 1), where G counts the clusters on
        the smaller side; at least the larger of the first two, as the difference can come out too
        small with few clusters.
        """
        parts = np.zeros(len(self.evidence))
        for side in (self.taught, ~self.taught):
            parts[side] = weight * (shares[side] - shares[side].mean()) / side.sum()
        several = len(np.unique(self.models)) > 1
        ways = [self.people, self.models] if several else [self.people]
        found = [self._variance(parts, way) for way in ways]
        fewest = min(count for _, count in found)
        variance = sum(each for each, _ in found)
        if several:
            both = self.models * (self.people.max() + 1) + self.people
            variance = max(variance - self._variance(parts, both)[0], *(each for each, _ in found))
        return Estimate(value, float(np.sqrt(variance)), fewest)

    def _variance(self, parts: Numbers, clusters: People) -> tuple[float, int]:
        """Computes the variance of the sum of parts by cluster, and the smaller side's clusters."""
        names, index = np.unique(clusters, return_inverse=True)
        sums = np.bincount(index, weights=parts, minlength=len(names))
        fewest = min(len(np.unique(clusters[side])) for side in (self.taught, ~self.taught))
        return fewest / max(1, fewest - 1) * float((sums**2).sum()), fewest
