"""Exact unlearning in closed form, and what the attack by likelihood ratio says of it."""

from __future__ import annotations

import numpy as np
import pytest

from clearbench.attacks.likelihood_ratio import log_ratios
from clearbench.attacks.ridge_heads import RidgeHead, margins
from clearbench.attacks.roc import auc
from clearbench.attacks.signals import Numbers, Signals

PEOPLE, IMAGES, FEATURES, MODELS = 60, 6, 48, 16
PENALTY = 1.0


def test_removing_rows_is_fitting_without_them() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(90, 20)), np.eye(7)[rng.integers(0, 7, 90)]
    gone = slice(30, 55)
    kept = np.delete(np.arange(90), gone)
    ours = RidgeHead.of(features, labels).without(features[gone], labels[gone]).weights(0.5)
    refitted = RidgeHead.of(features[kept], labels[kept]).weights(0.5)
    assert np.abs(ours - refitted).max() < 1e-9
    by_hand = np.linalg.inv(features[kept].T @ features[kept] + 0.5 * np.eye(20))
    assert np.abs(refitted - by_hand @ features[kept].T @ labels[kept]).max() < 1e-9


def test_a_margin_is_to_the_next_class() -> None:
    logits = np.array([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0]])
    assert margins(logits, np.array([1, 0])).tolist() == [1.0, -5.0]


def heads(seed: int, *, deleted: bool) -> Signals:
    """Sixteen heads; the first and the last ten people are taught to one half of them each.

    The other forty are taught to a random half. The taught ten are then removed, or not.
    """
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(PEOPLE), IMAGES)
    features = rng.normal(size=(PEOPLE, FEATURES))[owners] + rng.normal(
        0, 1.5, (len(owners), FEATURES)
    )
    labels, ends = np.eye(PEOPLE)[owners], np.flatnonzero((owners < 10) | (owners >= 50))
    values: list[Numbers] = []
    taught = np.zeros((MODELS, len(owners)), bool)
    for model in range(MODELS):
        own = np.arange(10) if model < MODELS // 2 else np.arange(50, 60)
        people = np.concatenate([own, rng.permutation(np.arange(10, 50))[:20]])
        taught[model] = np.isin(owners, people)
        head = RidgeHead.of(features[taught[model]], labels[taught[model]])
        if deleted:
            gone = np.isin(owners, own)
            head = head.without(features[gone], labels[gone])
        values.append(margins(features @ head.weights(PENALTY), owners))
    return Signals(np.array(values)[:, ends], taught[:, ends], owners[ends])


@pytest.mark.parametrize(("deleted", "low", "high"), [(False, 0.95, 1.0), (True, 0.45, 0.55)])
def test_what_was_taught_is_found_and_what_was_removed_is_not(
    deleted: bool, low: float, high: float
) -> None:
    """The mean of five seeds of accuracy and AUC; 400 pairs of model and person each."""
    found = []
    for seed in range(5):
        signals = heads(seed, deleted=deleted)
        ratios, attacked = log_ratios(signals, "moderated", "leave one out")
        accuracy = ((ratios > 0) == signals.taught)[attacked].mean()
        found += [(accuracy, auc(-ratios[signals.taught], -ratios[~signals.taught]))]
    accuracy, area = np.mean(found, axis=0)
    assert low <= accuracy <= high and low <= area <= high
