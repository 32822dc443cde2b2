"""Decides by the ratio of two likelihoods whether a model was once taught a row.

LiRA (Carlini et al. 2022, arXiv 2112.03570) compares how likely a model's signal on a row is among
models that were taught the row and among models that were not. U-LIRA (Hayes et al. 2024, arXiv
2403.01218; Kurmanji et al. 2023) is the same on unlearned models: those that were taught the row
and made to forget it, against those that never saw it. A model that has forgotten gives 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clearbench.attacks.signals import Design, Mask, Numbers, Signals
from clearbench.libraries import optimize, special, stats

#: How centre and spread of a row's signals are estimated from few models.
Estimator = Literal["mad", "standard", "pooled", "moderated"]
#: Median absolute deviation of a standard normal distribution.
NORMAL_MAD = 0.6745
#: Spread below which signals do not differ; a model that always says the same has none.
SMALLEST = 1e-12


@dataclass(frozen=True)
class Spread:
    """Student-t distribution of a row's signals; normal where the degrees are infinite.

    Attributes:
        centre: Centre, (rows,).
        scale: Scale, (rows,).
        degrees: Degrees of freedom, (rows,).
    """

    centre: Numbers
    scale: Numbers
    degrees: Numbers

    def log_density(self, values: Numbers, rows: NDArray[np.int64]) -> Numbers:
        """Computes the natural logarithms of the densities of these rows at one value each."""
        about = (each[rows] for each in (self.degrees, self.centre, self.scale))
        density: Numbers = stats.t.logpdf(values, *about)
        return density


def log_ratios(signals: Signals, estimator: Estimator, design: Design) -> tuple[Numbers, Mask]:
    """Computes log p(signal | taught) - log p(signal | never taught) by model and row.

    Args:
        signals: Signals of all models, unlearned where unlearning is attacked.
        estimator: `mad` (median and MAD / .6745, as CLEAR has it), `standard` (mean and standard
            deviation), `pooled` (one standard deviation for all rows), or `moderated`: the variance
            of a row is drawn to that of all rows as far as their variances differ by chance, and a
            new signal has Student's t distribution around the mean (Smyth 2004).
        design: Models that are attacked, and those they are compared with.

    Returns:
        Ratios, above 0 for rows that look taught, and whether the pair was attacked; both
        (models, rows).

    Raises:
        DataError: There are too few models.
    """
    ratios, done = np.full(signals.values.shape, np.nan), np.zeros(signals.values.shape, bool)
    for attacked, shadows in signals.designed(design):
        rows, seen = np.nonzero(attacked)[1], signals.values[attacked]
        taught = spread(signals.values, shadows & signals.taught, estimator)
        never = spread(signals.values, shadows & ~signals.taught, estimator)
        ratios[attacked] = taught.log_density(seen, rows) - never.log_density(seen, rows)
        done |= attacked
    return ratios, done


def spread(values: Numbers, used: Mask, estimator: Estimator) -> Spread:
    """Estimates the distribution of each row's signals over the models that are used."""
    count = used.sum(axis=0).astype(float)
    if estimator == "mad":
        kept = np.where(used, values, np.nan)
        centre = np.nanmedian(kept, axis=0)
        scale = np.nanmedian(np.abs(kept - centre), axis=0) / NORMAL_MAD
        return Spread(centre, np.maximum(scale, SMALLEST), np.full(len(count), np.inf))
    centre = np.where(used, values, 0.0).sum(axis=0) / count
    squares = np.where(used, (values - centre) ** 2, 0.0).sum(axis=0)
    degrees, variance = count - 1, squares / (count - 1)
    if estimator == "standard":
        prior, typical = 0.0, 0.0
    else:
        typical = float(squares.sum() / degrees.sum())
        prior = np.inf
        if estimator == "moderated":
            prior, typical = typical_variance(variance, degrees)
    if np.isinf(prior):
        variance, degrees = np.full(len(count), typical), np.full(len(count), np.inf)
    else:
        variance = (prior * typical + squares) / (prior + degrees)
        degrees = prior + degrees if estimator == "moderated" else np.full(len(count), np.inf)
    if estimator == "moderated":
        variance = variance * (1 + 1 / count)
    return Spread(centre, np.maximum(np.sqrt(variance), SMALLEST), degrees)


def typical_variance(variance: Numbers, degrees: Numbers) -> tuple[float, float]:
    """Estimates how far the variances of rows differ by more than chance (Smyth 2004, section 6.2).

    The logarithm of a sample variance varies by trigamma(d / 2); what it varies by beyond that over
    the rows is trigamma(d0 / 2).

    Args:
        variance: Sample variance of each row.
        degrees: Degrees of freedom of each.

    Returns:
        Degrees of freedom d0 that the typical variance counts as, infinite where all rows have one
        variance, and the typical variance.
    """
    positive = variance > 0
    if positive.sum() < 2:
        return np.inf, float(variance.mean())
    half = degrees[positive] / 2
    logs = np.log(variance[positive]) - special.digamma(half) + np.log(half)
    beyond = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    if beyond <= 0:
        return np.inf, float(np.exp(logs.mean()))
    prior = 2 * _inverse_trigamma(beyond)
    typical = float(np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2)))
    return prior, typical


def _inverse_trigamma(value: float) -> float:
    """Finds x with trigamma(x) = value; 1/x < trigamma(x) < 1/x + 1/x^2."""
    low, high = 1 / value, (1 + np.sqrt(1 + 4 * value)) / (2 * value)
    return float(optimize.brentq(lambda x: special.polygamma(1, x) - value, low, high * 1.0001))
