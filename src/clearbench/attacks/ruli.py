"""Attacks by the ratio of two kernel densities, learned from shadow models (RULI)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clearbench.attacks.shadow import ShadowAttack
from clearbench.attacks.signals import Design, Mask, Numbers, Signals

#: Rule for the width of a kernel.
Bandwidth = Literal["silverman", "scott"]
#: Width below which signals do not differ.
SMALLEST = 1e-12
#: Distance between the quartiles of a standard normal distribution.
NORMAL_QUARTILES = 1.349


class Ruli(
    ShadowAttack,
    name="ruli",
    title="RULI",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "shadow models' records"),
    paper="Naderloui et al. 2025, RULI (code: datasec-lab/Ruli)",
    shows=(
        "As U-LIRA, with densities of no given form: right where signals are not normal, and worse "
        "with few models."
    ),
):
    """Membership by the log-ratio of kernel densities; above 0 where u / (u + o) is above 1/2.

    The published code leaves every kernel at a width of 1, whatever the signal (errata E137).

    Attributes:
        bandwidth: Rule for the width of the kernels of each row and side.
    """

    bandwidth: Bandwidth = "silverman"

    def evidence(self, signals: Signals, design: Design) -> tuple[Numbers, Mask]:
        """Computes log u(signal) - log o(signal), of models taught and never taught the row."""
        found, done = np.full(signals.values.shape, np.nan), np.zeros(signals.values.shape, bool)
        for attacked, shadows in signals.designed(design):
            rows, seen = np.nonzero(attacked)[1], signals.values[attacked]
            taught, never = (
                log_density(seen, rows, signals.values, shadows & side, self.bandwidth)
                for side in (signals.taught, ~signals.taught)
            )
            found[attacked] = taught - never
            done |= attacked
        return found, done


def log_density(
    seen: Numbers, rows: NDArray[np.int64], values: Numbers, used: Mask, bandwidth: Bandwidth
) -> Numbers:
    """Computes the logarithms of rows' Gaussian kernel densities at one signal each.

    Args:
        seen: Signals, (seen,).
        rows: Row of each, (seen,).
        values: Signals of all models, (models, rows).
        used: Whether a model's signal has a kernel, (models, rows); two or more in each row.
        bandwidth: Rule for the width.

    Returns:
        Logarithms, (seen,).
    """
    widths = kernel_widths(values, used, bandwidth)[rows]
    distances = (seen - values[:, rows]) / widths
    kernels = np.where(used[:, rows], -(distances**2) / 2, -np.inf)
    total = np.logaddexp.reduce(kernels, axis=0) - np.log(used.sum(axis=0)[rows] * widths)
    density: Numbers = total - np.log(2 * np.pi) / 2
    return density


def kernel_widths(values: Numbers, used: Mask, bandwidth: Bandwidth) -> Numbers:
    """Computes the kernel width of each row: Scott's 1.06 s n^-1/5, or Silverman's rule of thumb.

    Silverman (1986, equation 3.31) takes .9 of the smaller of s and the distance of the quartiles
    over 1.349, so that a few far signals do not widen the rest.
    """
    kept = np.where(used, values, np.nan)
    count = used.sum(axis=0).astype(float)
    spread = np.nanstd(kept, axis=0, ddof=1)
    factor = 1.06
    if bandwidth == "silverman":
        quartiles = (_quantile(kept, count, 0.75) - _quantile(kept, count, 0.25)) / NORMAL_QUARTILES
        spread = np.where(quartiles > 0, np.minimum(spread, quartiles), spread)
        factor = 0.9
    widths: Numbers = np.maximum(factor * spread * count**-0.2, SMALLEST)
    return widths


def _quantile(kept: Numbers, count: Numbers, level: float) -> Numbers:
    """Computes a quantile of each row's signals, between the two nearest; NaN are no signals."""
    ordered, rows = np.sort(kept, axis=0), np.arange(kept.shape[1])
    place = level * (count - 1)
    before = np.floor(place).astype(int)
    after = np.ceil(place).astype(int)
    low, high = ordered[before, rows], ordered[after, rows]
    quantile: Numbers = low + (place - before) * (high - low)
    return quantile
