"""Computes areas and rates of a membership score: forgotten people against held-out people.

Scores are signed like the loss: lower is more likely training data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Holdout rows needed for a false-positive rate: ten times as many as one row would be of it.
FALSE_POSITIVE_RATES = {"tpr_at_1": 0.01, "tpr_at_01": 0.001}
ROWS_PER_RATE = 10
#: Points of a drawn curve.
CURVE_POINTS = 61


def auc(members: ArrayLike, others: ArrayLike) -> float:
    """Computes the probability that a non-member scores above a member; ties count half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_labelled(members, others)))


def tpr_at(members: ArrayLike, others: ArrayLike, fpr: float) -> float:
    """Computes the share of members below the last threshold that at most `fpr` of others pass."""
    rates, shares = _roc_curve(members, others)
    return float(shares[rates <= fpr + 1e-12].max())


def curve(members: ArrayLike, others: ArrayLike) -> tuple[list[float], list[float]]:
    """Computes true-positive rates at false-positive rates from 0.001 to 1, evenly in logarithms.

    Returns:
        False and true-positive rates, (`CURVE_POINTS`,) each.
    """
    rates, shares = _roc_curve(members, others)
    wanted = np.logspace(-3, 0, CURVE_POINTS)
    places = np.searchsorted(rates, wanted + 1e-12, side="right") - 1
    return wanted.tolist(), shares[places].tolist()


def _roc_curve(
    members: ArrayLike, others: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes false and true-positive rates at every threshold."""
    from sklearn.metrics import roc_curve

    rates, shares, _ = roc_curve(*_labelled(members, others), drop_intermediate=False)
    return rates, shares


def _labelled(members: ArrayLike, others: ArrayLike) -> tuple[NDArray[np.int64], ArrayLike]:
    """Labels members 1 and others 0, and negates their scores: higher for members."""
    sides = np.asarray(members, float), np.asarray(others, float)
    return np.repeat([1, 0], [len(side) for side in sides]), -np.concatenate(sides)


def above(members: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Computes, for every member, the share of others that score above it; ties count half."""
    ordered, values = np.sort(np.asarray(others, float)), np.asarray(members, float)
    below, upto = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    shares: NDArray[np.float64] = 1 - (below + upto) / (2 * len(ordered))
    return shares


def privleak(auc_value: float, reference_auc: float) -> float | None:
    """Computes ((1 - AUC) - (1 - AUC_ref)) / (1 - AUC_ref) x 100, as MUSE defines it.

    Errata E110: a percentage without bounds, so both AUCs are shown besides.

    Returns:
        The percentage; None where the reference's AUC is 1, which leaves nothing to divide by.
    """
    if separates(reference_auc):
        return None
    return ((1 - auc_value) - (1 - reference_auc)) / (1 - reference_auc) * 100


def separates(area: float) -> bool:
    """Whether an AUC is 1, up to rounding: every pair is in order."""
    return 1 - area < 1e-9


def attack_numbers(
    members: ArrayLike, others: ArrayLike, reference_auc: float | None = None
) -> dict[str, float]:
    """Computes the `auc` of a membership score, and true-positive rates with enough others.

    Args:
        members: Scores of forgotten rows, lower for what looks like training data.
        others: Scores of holdout rows.
        reference_auc: AUC of gold by the same score; adds `privleak`, where that is defined.
    """
    numbers = {"auc": auc(members, others)}
    for name, fpr in FALSE_POSITIVE_RATES.items():
        if len(np.asarray(others)) >= ROWS_PER_RATE / fpr:
            numbers[name] = tpr_at(members, others, fpr)
    if reference_auc is not None:
        leak = privleak(numbers["auc"], reference_auc)
        numbers |= {} if leak is None else {"privleak": leak}
    return numbers
