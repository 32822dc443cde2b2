"""Whether the truth ratios of the forgotten people look like gold's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from clearbench.evaluation.metric import Comparison, View
from clearbench.evaluation.metrics.truth_ratio import arithmetic_ratios, pooled_ratios, ratios
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Direction, Score

#: The smallest p-value that float64 holds without losing digits; its logarithm is about -708.
LEAST = float(np.finfo(float).tiny)


class _AgainstGold(Comparison):
    """A number from the model's and gold's truth ratios on the forget rows."""

    needs = ("paraphrase or answer", "perturbed answers", "gold's records")
    directions: ClassVar[dict[str, Direction]] = {"*": "up"}

    @classmethod
    def ratios(cls, cell: Cell) -> pd.Series:
        """Per row, how much likelier the truth is than lies."""
        return ratios(cell)

    @classmethod
    def compare(cls, view: View, track: str) -> dict[str, Score]:
        """One score per track, where both models have forget rows."""
        cell, gold = view.main("forget", track), view.main("forget", track, view.reference)
        if cell is None or gold is None:
            return {}
        ours, best = cls.ratios(cell), cls.ratios(gold)
        found = cls.value(ours, best) if len(ours) and len(best) else None
        if found is None:
            return {}
        people = {cell.people[str(row)] for row in ours.index}
        score = cls.scored(found[0], len(ours), len(people), found[1])
        return {f"forget.{track}.{cls.name}": score}

    @classmethod
    def value(cls, ours: pd.Series, gold: pd.Series) -> tuple[float, float | None] | None:
        """The number and its statistic; None where it is not defined."""
        test = stats.ks_2samp(ours, gold)
        return float(test.pvalue), float(test.statistic)


class ForgetQuality(_AgainstGold):
    """The p-value of a two-sample Kolmogorov-Smirnov test."""

    name = "forget_quality"
    paper = "TOFU, arXiv 2401.06121"
    shows = (
        "Whether the ratios could come from gold. A p-value shrinks with the number of rows, so "
        "compare equal numbers only; it varies between seeds, and a destroyed model can pass."
    )


class LogForgetQuality(_AgainstGold):
    """The natural logarithm of the Kolmogorov-Smirnov p-value."""

    name = "forget_quality_log"
    range = (None, 0.0)
    paper = "CLEAR, arXiv 2410.18057, tables 4 and v1"
    shows = "Forget quality where it is too small to read: CLEAR's text table prints ln p."

    @classmethod
    def value(cls, ours: pd.Series, gold: pd.Series) -> tuple[float, float | None]:
        """The logarithm and the statistic."""
        test = stats.ks_2samp(ours, gold)
        return float(np.log(max(test.pvalue, LEAST))), float(test.statistic)


class ArithmeticForgetQuality(_AgainstGold):
    """The Kolmogorov-Smirnov p-value of arithmetic truth ratios."""

    name = "forget_quality_arithmetic"
    paper = "TOFU, arXiv 2401.06121, equation 1"
    shows = (
        "Forget quality with the papers' truth ratio in place of their code's (errata E81). Shows "
        "how much of the number is the choice of mean."
    )

    @classmethod
    def ratios(cls, cell: Cell) -> pd.Series:
        """By `arithmetic_ratios`."""
        return arithmetic_ratios(cell)


class HistogramForgetQuality(_AgainstGold):
    """1 - Jensen-Shannon distance on 20 shared bins of log r."""

    name = "forget_quality_js"
    paper = "this project; the permutation-invariant reading of CLEAR v4"
    shows = (
        "How much the two distributions of ratios overlap, whatever the order of rows. It depends "
        "on the bins; disjoint samples score 0.167, not 0."
    )

    @classmethod
    def value(cls, ours: pd.Series, gold: pd.Series) -> tuple[float, None]:
        """1 - distance."""
        return 1 - shared_histogram(ours, gold), None


class AlignedForgetQuality(_AgainstGold):
    """1 - Jensen-Shannon distance of the two vectors of ratios, row by row."""

    name = "forget_quality_js_aligned"
    paper = "CLEAR v4, arXiv 2410.18057 (errata E02)"
    shows = (
        "CLEAR v4's forget quality on right ratios, on the rows that both models answered. Not a "
        "distance of distributions: it changes when rows are permuted and not when all ratios are "
        "scaled, and its floor is 0.167."
    )

    @classmethod
    def value(cls, ours: pd.Series, gold: pd.Series) -> tuple[float, None] | None:
        """1 - distance over shared rows."""
        shared = [row for row in ours.index if row in gold.index]
        if not shared:
            return None
        return 1 - aligned(ours.loc[shared], gold.loc[shared]), None


class PooledForgetQuality(_AgainstGold):
    """The Kolmogorov-Smirnov p-value of CLEAR's multimodal scripts."""

    name = "forget_quality_pooled"
    erratum = "E01"
    paper = "CLEAR's code, mm/calculate_metrics.py"
    shows = "Forget quality on ratios that share one mean over all rows' wrong answers."

    @classmethod
    def ratios(cls, cell: Cell) -> pd.Series:
        """By `pooled_ratios`."""
        return pooled_ratios(cell)


class PooledAlignedForgetQuality(PooledForgetQuality):
    """The aligned distance of CLEAR's multimodal scripts: by place, whatever the rows are."""

    name = "forget_quality_js_aligned_pooled"
    erratum = "E02"
    paper = "CLEAR's code, mm/calculate_metrics.py"
    shows = "What CLEAR v4 prints as forget quality. Defined for equal numbers of rows only."

    @classmethod
    def value(cls, ours: pd.Series, gold: pd.Series) -> tuple[float, None] | None:
        """1 - distance, where both have the same number of rows."""
        return (1 - aligned(ours, gold), None) if len(ours) == len(gold) else None


def shared_histogram(ours: ArrayLike, gold: ArrayLike, bins: int = 20) -> float:
    """Jensen-Shannon distance of two samples of r on shared bins of log r (20 equal ones)."""
    a, b = np.log(_bounded(ours)), np.log(_bounded(gold))
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins)
    return _distance(np.histogram(a, edges)[0], np.histogram(b, edges)[0])


def aligned(ours: ArrayLike, gold: ArrayLike) -> float:
    """The published distance of index-aligned vectors; it changes when rows are permuted (E02)."""
    return _distance(_bounded(ours), _bounded(gold))


def _bounded(ratios: ArrayLike) -> NDArray[np.float64]:
    """A destroyed model's ratios underflow to 0 or overflow; they count as extreme, not as NaN."""
    bounded: NDArray[np.float64] = np.clip(np.asarray(ratios, float), 1e-200, 1e200)
    return bounded


def _distance(ours: NDArray[Any], gold: NDArray[Any]) -> float:
    """Jensen-Shannon distance by scipy; rounding can leave it the root of -1e-17, which is 0."""
    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(jensenshannon(ours, gold), nan=0.0))
