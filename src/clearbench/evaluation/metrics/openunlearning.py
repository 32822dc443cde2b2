"""OpenUnlearning's own forms, with the small constant it adds to denominators (errata E113)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.metrics.forget_quality import ForgetQuality
from clearbench.evaluation.metrics.probability import REAL, Probability, probability
from clearbench.evaluation.metrics.truth_ratio import TruthRatio, truths
from clearbench.evaluation.records import Cell

ADDED = 1e-10
PAPER = "OpenUnlearning, arXiv 2506.12618, src/evals/metrics/memorization.py"


def lies_to_truth(cell: Cell) -> pd.Series:
    """Per row, R = exp(-mean_j l(y'_j)) / (p(y^) + 1e-10): the direction opposite to TOFU's r."""
    wrong, true = cell.options("perturbed").mean(axis=1), truths(cell)
    rows = [row for row in wrong.index if row in true.index]
    wrong, true = wrong.reindex(rows), true.reindex(rows)
    return pd.Series(np.exp(wrong) / (np.exp(true) + ADDED), index=rows, dtype=float)


class OpenUnlearningTruthRatio(Metric):
    """min(R, 1/(R + 1e-10)) on the forget set, max(0, 1 - R) elsewhere."""

    name = "truth_ratio_open"
    needs = TruthRatio.needs
    tasks = ("qa", "caption", "choice")
    erratum = "E113"
    paper = PAPER
    shows = (
        "OpenUnlearning's truth ratio. Equal to TOFU's until a model finds the truth less likely "
        "than about 1e-8; then the added constant decides."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per row."""
        ratio = lies_to_truth(cell)
        if split == "forget":
            return pd.Series(np.minimum(ratio, 1 / (ratio + ADDED)), index=ratio.index)
        return (1 - ratio).clip(lower=0)


class OpenUnlearningProbability(Metric):
    """p(y) on forget and retain; p(y) / (p(y) + sum_j p(y'_j) + 1e-10) on real_* splits."""

    name = "probability_open"
    needs = Probability.needs
    tasks = ("qa", "caption", "choice")
    erratum = "E113"
    paper = PAPER
    shows = "OpenUnlearning's probability; see `probability` for what it says."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One probability per row."""
        true = probability(cell)
        if split not in REAL:
            return true
        options = cell.options("perturbed")
        wrong = pd.Series(np.exp(options).sum(axis=1), index=options.index)
        true = true.reindex(options.index)
        return true / (true + wrong + ADDED)


class OpenUnlearningForgetQuality(ForgetQuality):
    """The Kolmogorov-Smirnov p-value of OpenUnlearning's ratios."""

    name = "forget_quality_open"
    erratum = "E113"
    paper = PAPER
    shows = "Forget quality as TOFU's, until the truth is less likely than about 1e-8."

    @classmethod
    def ratios(cls, cell: Cell) -> pd.Series:
        """By `lies_to_truth`."""
        return lies_to_truth(cell)
