"""Decides by few reference models and a population whether a model was once taught a row.

RMIA (Zarifzadeh, Liu and Shokri 2024, arXiv 2312.03262): how much likelier a row is under the model
than in general, compared with how much likelier other people's rows are. One reference that was
never taught the row is enough.
"""

from __future__ import annotations

import numpy as np

from clearbench.attacks.signals import Design, Mask, Numbers, People, Signals
from clearbench.errors import DataError


def relative_likelihoods(
    signals: Signals, slope: float = 1.0, factor: float = 1.0, design: Design = "leave one out"
) -> Numbers:
    """Computes the share of a population whose rows a model makes less likely than a given row.

    A row's likelihood ratio is p(row | model) / p(row), where p(row) is half of (1 + `slope`) times
    its mean over the reference models, plus (1 - `slope`): those that were taught the row, which
    are left out, would make it larger. A model's references for a row are the other shadow models
    that were never taught the row, its population the rows of all other people that it was never
    taught and that have references.

    Args:
        signals: Natural logarithms of probabilities, by model and row.
        slope: How p(row) grows with the references' mean, from 0 (not at all) to 1 (equal to it).
        factor: How many times as likely as a row of the population a row has to be.
        design: Models that are attacked, and those they are compared with.

    Returns:
        Shares, (models, rows): higher for rows that look taught, NaN where nothing is attacked.

    Raises:
        DataError: A row has no reference model, or a model no population.
    """
    logs, never = signals.values, ~signals.taught
    if (logs > 0).any():
        raise DataError("a logarithm of a probability is above 0", "signals", "give log p")
    scores = np.full_like(logs, np.nan)
    for attacked, shadows in signals.designed(design, least=0):
        others = shadows & never
        if not others.any(axis=0).all():
            raise DataError("a row has no reference model", "signals", "train more models")
        for model in np.flatnonzero(attacked.any(axis=1)):
            references = others.copy()
            references[model] = False
            known = references.any(axis=0)
            ratios = np.full(logs.shape[1], np.nan)
            ratios[known] = logs[model, known] - _usual(logs[:, known], references[:, known], slope)
            shares = _shares(ratios, never[model] & known, signals.people, np.log(factor))
            scores[model] = np.where(attacked[model], shares, scores[model])
    return scores


def _shares(ratios: Numbers, population: Mask, people: People, margin: float) -> Numbers:
    """Computes the share of other people's rows of the population that each row beats, (rows,)."""
    shares = np.empty_like(ratios)
    for person in np.unique(people):
        rows = people == person
        theirs = np.sort(ratios[population & ~rows])
        if not len(theirs):
            raise DataError("a model was taught everybody", "signals", "hold people out")
        shares[rows] = np.searchsorted(theirs, ratios[rows] - margin, side="right") / len(theirs)
    return shares


def _usual(logs: Numbers, used: Mask, slope: float) -> Numbers:
    """Computes the logarithm of p(row) from the models that are used, (rows,)."""
    count = used.sum(axis=0)
    total = np.logaddexp.reduce(np.where(used, logs, -np.inf), axis=0)
    with np.errstate(divide="ignore"):
        parts = np.log((1 + slope) / 2) + total - np.log(count), np.log((1 - slope) / 2)
    usual: Numbers = np.logaddexp(*parts)
    return usual
