"""Decides by one rule for all rows whether a model was once taught a row (U-MIA).

Kurmanji et al. 2023 (arXiv 2302.09880) and Hayes et al. 2024 (arXiv 2403.01218) call this the
population attack: one classifier on one signal, learned from shadow models. It does not know that
some rows are easy for every model, so it finds less than attacks row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from clearbench.attacks.signals import Design, Mask, Numbers, Signals

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

#: Classifier of a signal.
Rule = Literal["logistic", "tree"]
#: Leaves of the decision tree, as CLEAR has it (cv/attack.py).
LEAVES = 256
#: Least probability: a leaf that holds one side alone gives 0.
LEAST = 1e-12


def population_log_odds(signals: Signals, rule: Rule, design: Design) -> tuple[Numbers, Mask]:
    """Computes log p(taught | signal) - log p(never taught | signal) by one classifier.

    Args:
        signals: Signals of all models.
        rule: `logistic` regression on the signal, or a decision `tree`.
        design: Models that are attacked, and those that the classifier learns from.

    Returns:
        Log odds, above 0 for rows that look taught, and whether the pair was attacked; both
        (models, rows).

    Raises:
        DataError: There are too few models.
    """
    odds, done = np.full(signals.values.shape, np.nan), np.zeros(signals.values.shape, bool)
    for attacked, shadows in signals.designed(design, least=1):
        learned = _learned(rule).fit(signals.values[shadows][:, None], signals.taught[shadows])
        chances = learned.predict_proba(signals.values[attacked][:, None])
        both = np.log(np.maximum(chances, LEAST))
        odds[attacked] = both[:, 1] - both[:, 0]
        done |= attacked
    return odds, done


def _learned(rule: Rule) -> ClassifierMixin:
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    if rule == "tree":
        return DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=LEAVES, random_state=0)
    return LogisticRegression(class_weight="balanced")
