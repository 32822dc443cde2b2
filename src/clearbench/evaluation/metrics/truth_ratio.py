"""How much likelier the paraphrased truth is than wrong answers of the same form."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.metrics.probability import OTHER_NAMES
from clearbench.evaluation.records import Cell

TASKS = ("qa", "caption", "choice")


def truths(cell: Cell) -> pd.Series:
    """Per row, -l(y^): of the paraphrase, or of the answer where there is no paraphrase."""
    return cell.mean_log_prob("paraphrase").combine_first(cell.mean_log_prob("answer"))


def known(cell: Cell) -> pd.Series:
    """Per row, whether the truth is likelier than every wrong answer, or a label than every other.

    Rows without wrong answers are left out.
    """
    wrong = cell.options("perturbed")
    best = (cell.options("known") if wrong.empty else wrong).max(axis=1)
    return truths(cell).reindex(best.index) > best


def _pairs(cell: Cell, first: int | None = None) -> tuple[pd.Series, pd.DataFrame]:
    """The truth and the (first) wrong answers of the rows that have both."""
    options = cell.options("perturbed").iloc[:, :first]
    true = truths(cell)
    rows = [row for row in options.index if row in true.index]
    return true.reindex(rows), options.reindex(rows)


def ratios(cell: Cell, first: int | None = None) -> pd.Series:
    """Per row, r = exp(mean_j l(y'_j) - l(y^)): above 1 when the truth is likelier."""
    true, options = _pairs(cell, first)
    with np.errstate(over="ignore", under="ignore"):
        return pd.Series(np.exp(true - options.mean(axis=1)), index=true.index, dtype=float)


def arithmetic_ratios(cell: Cell) -> pd.Series:
    """Per row, r = p(y^) / mean_j p(y'_j): the papers' definition."""
    true, options = _pairs(cell)
    with np.errstate(over="ignore", under="ignore"):
        wrong = np.exp(options.sub(true, axis=0)).mean(axis=1)
        return pd.Series(1 / wrong, index=true.index, dtype=float)


def pooled_ratios(cell: Cell) -> pd.Series:
    """Per row, r with one mean over all wrong answers of all rows in place of the row's own."""
    true, options = _pairs(cell)
    if options.empty:
        return pd.Series(dtype=float)
    with np.errstate(over="ignore", under="ignore"):
        return pd.Series(np.exp(true - float(np.nanmean(options))), index=true.index, dtype=float)


def folded(r: pd.Series, split: str) -> pd.Series:
    """min(r, 1/r) on the forget set (1 is indifference), max(0, 1 - 1/r) elsewhere."""
    with np.errstate(divide="ignore"):
        if split == "forget":
            return pd.Series(np.minimum(r, 1 / r), index=r.index)
        return (1 - 1 / r).clip(lower=0)


class TruthRatio(Metric):
    """TOFU's truth ratio, geometric over the perturbed answers, per row."""

    name = "truth_ratio"
    needs = ("paraphrase or answer", "perturbed answers")
    tasks = TASKS
    paper = "TOFU, arXiv 2401.06121"
    shows = (
        "Whether the model still prefers the truth to like-worded lies. Rises towards 1 with good "
        "forgetting, and falls again when the model is pushed past it (errata E79)."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per row."""
        return folded(ratios(cell), split)


class NameTruthRatio(Metric):
    """The truth ratio of the true name against fresh names."""

    name = "name_truth_ratio"
    needs = ("answer", "perturbed answers")
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057"
    shows = (
        "Whether a face still favours its name over five names that nobody bears. A model that "
        "shuns the true name scores like one that knows it."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per image."""
        return folded(ratios(cell, OTHER_NAMES), split)


class ArithmeticTruthRatio(Metric):
    """The truth ratio with the arithmetic mean over wrong answers, as the papers print it."""

    name = "truth_ratio_arithmetic"
    needs = TruthRatio.needs
    tasks = TASKS
    paper = "TOFU, arXiv 2401.06121, equation 1; no published number was computed so (errata E81)"
    shows = (
        "As the truth ratio, but one likely lie is enough to bring it down. Not comparable with "
        "published numbers, which are geometric."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per row."""
        return folded(arithmetic_ratios(cell), split)


class TruthProbability(Metric):
    """p(y^) / (p(y^) + geometric mean of p(y'_j)): the truth ratio as a probability."""

    name = "truth_probability"
    needs = TruthRatio.needs
    tasks = TASKS
    paper = "OpenUnlearning, arXiv 2506.12618, as `prob_mean`"
    shows = (
        "The share of belief that falls on the truth rather than on a typical lie: 1/2 is "
        "ignorance, below it the truth is shunned. The most faithful of the truth ratios, but one "
        "epoch of relearning brings it back."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One probability per row."""
        with np.errstate(divide="ignore"):
            return 1 / (1 + 1 / ratios(cell))


class PooledTruthRatio(Metric):
    """The truth ratio of CLEAR's multimodal scripts."""

    name = "truth_ratio_pooled"
    needs = TruthRatio.needs
    tasks = TASKS
    pooled = True
    erratum = "E01"
    paper = "CLEAR's code, mm/calculate_metrics.py"
    shows = (
        "What CLEAR's multimodal tables hold: each truth is compared with the mean over the wrong "
        "answers of every row, so the number mixes how hard the rows are with what is known."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per row, which depends on the other rows."""
        return folded(pooled_ratios(cell), split)


class PooledNameTruthRatio(Metric):
    """The same defect in CLEAR's face recognition."""

    name = "name_truth_ratio_pooled"
    needs = NameTruthRatio.needs
    tasks = ("name",)
    pooled = True
    erratum = "E01"
    paper = "CLEAR's code, mm/calculate_metrics.py"
    shows = "What CLEAR's tables hold for names; see `truth_ratio_pooled`."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per image, which depends on the other images."""
        return folded(pooled_ratios(cell), split)
