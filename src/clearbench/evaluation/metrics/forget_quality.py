"""Compares the model's truth ratios on forgotten people with gold's: forget quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Collections, Comparison, main_group
from clearbench.evaluation.metrics.probability import OPEN_PAPER
from clearbench.evaluation.metrics.truth_ratio import CODE, RATIOS, Form
from clearbench.evaluation.score import Direction, Score
from clearbench.libraries import pd, stats

#: The smallest p-value that float64 holds without losing digits; its logarithm is about -708.
LEAST = float(np.finfo(float).tiny)
#: `ks` is the p-value of a Kolmogorov-Smirnov test, `log` its natural logarithm; `js` is 1 -
#: Jensen-Shannon distance of histograms, `js_aligned` of ratios row by row, and `js_by_place` of
#: ratios by their place in the log, whatever the rows are.
Statistic = Literal["ks", "log", "js", "js_aligned", "js_by_place"]
#: Value with its test statistic, where it has one.
Compared = tuple[float, float | None]


class ForgetQuality(
    Comparison,
    name="forget_quality",
    group="Forget quality",
    needs=("paraphrase or answer", "perturbed answers", "gold's records"),
    paper="TOFU, arXiv 2401.06121",
    shows=(
        "Whether the ratios could come from gold. A p-value shrinks with the number of rows, so "
        "compare equal numbers only; it varies between seeds, and a destroyed model can pass."
    ),
):
    """P-value of a two-sample Kolmogorov-Smirnov test of truth ratios, against gold.

    Attributes:
        statistic: Comparison of the two samples.
        ratio: Form of the truth ratios.
    """

    directions: ClassVar[Mapping[str, Direction]] = {"*": "up"}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {},
        {"statistic": "log"},
        {"statistic": "js"},
        {"statistic": "js_aligned"},
        {"ratio": "arithmetic"},
    )
    cases: ClassVar[Mapping[str, Case]] = {
        "log": Case(
            title="natural logarithm",
            range=(None, 0.0),
            paper="CLEAR, arXiv 2410.18057, tables 4 and v1",
            shows="Forget quality where it is too small to read: CLEAR's text table prints ln p.",
        ),
        "js": Case(
            title="Jensen-Shannon",
            paper="this project; the permutation-invariant reading of CLEAR v4",
            shows=(
                "How much the two distributions of ratios overlap, whatever the order of rows. It "
                "depends on the bins; disjoint samples score 0.167, not 0."
            ),
        ),
        "js_aligned": Case(
            title="Jensen-Shannon, row by row",
            paper="CLEAR v4, arXiv 2410.18057 (errata E02: a distance that depends on row order)",
            shows=(
                "CLEAR v4's forget quality on right ratios, on the rows that both models answered. "
                "Not a distance of distributions: it changes when rows are permuted and not when "
                "all ratios are scaled, and its floor is 0.167."
            ),
        ),
        "js_by_place": Case(
            title="Jensen-Shannon, by place",
            erratum="E02",
            paper=CODE,
            shows="What CLEAR v4 prints as forget quality. Defined for equal numbers of rows only.",
        ),
        "arithmetic": Case(
            paper="TOFU, arXiv 2401.06121, equation 1",
            shows=(
                "Forget quality with the papers' truth ratio in place of their code's (errata E81: "
                "code and paper take different means). Shows how much of the number is the choice "
                "of mean."
            ),
        ),
        "pooled": Case(
            erratum="E01",
            paper=CODE,
            shows="Forget quality on ratios that share one mean over all rows' wrong answers.",
        ),
        "open": Case(
            title="OpenUnlearning",
            erratum="E113",
            paper=OPEN_PAPER,
            shows="Forget quality as TOFU's, until the truth is less likely than about 1e-8.",
        ),
    }

    statistic: Statistic = "ks"
    ratio: Form = "geometric"

    def compare(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes one score per track, where both models have forget rows."""
        group = main_group(collections.model, "forget", track)
        gold = main_group(collections.gold, "forget", track)
        if group is None or gold is None:
            return {}
        ours, best = RATIOS[self.ratio](group), RATIOS[self.ratio](gold)
        compared = self.value(ours, best) if len(ours) and len(best) else None
        if compared is None:
            return {}
        people = {group.people[str(row)] for row in ours.index}
        score = self.scored(compared[0], len(ours), len(people), compared[1])
        return {f"forget.{track}.{self.score_key}": score}

    def value(self, ours: pd.Series, gold: pd.Series) -> Compared | None:
        """Computes the number and its test statistic; None where it is not defined."""
        if self.statistic in ("ks", "log"):
            test = stats.ks_2samp(ours, gold)
            p = float(test.pvalue)
            logarithm = float(np.log(max(test.pvalue, LEAST)))
            return (logarithm if self.statistic == "log" else p), float(test.statistic)
        distance = self._distance(ours, gold)
        return None if distance is None else (1 - distance, None)

    def _distance(self, ours: pd.Series, gold: pd.Series) -> float | None:
        if self.statistic == "js":
            return shared_histogram(ours, gold)
        if self.statistic == "js_by_place":
            return aligned(ours, gold) if len(ours) == len(gold) else None
        shared = [row for row in ours.index if row in gold.index]
        return aligned(ours.loc[shared], gold.loc[shared]) if shared else None


def shared_histogram(ours: ArrayLike, gold: ArrayLike, bins: int = 20) -> float:
    """Computes the Jensen-Shannon distance of two samples of r on shared bins of log r."""
    a, b = np.log(_bounded(ours)), np.log(_bounded(gold))
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins)
    return _jensen_shannon(np.histogram(a, edges)[0], np.histogram(b, edges)[0])


def aligned(ours: ArrayLike, gold: ArrayLike) -> float:
    """Computes the published distance of aligned vectors (errata E02: it depends on row order)."""
    return _jensen_shannon(_bounded(ours), _bounded(gold))


def _bounded(ratios: ArrayLike) -> NDArray[np.float64]:
    """Replaces ratios that underflow to 0 or overflow by extreme values, not by NaN."""
    bounded: NDArray[np.float64] = np.clip(np.asarray(ratios, float), 1e-200, 1e200)
    return bounded


def _jensen_shannon(ours: NDArray[Any], gold: NDArray[Any]) -> float:
    """Computes scipy's Jensen-Shannon distance; the root of -1e-17 by rounding counts as 0."""
    from scipy.spatial.distance import jensenshannon

    with np.errstate(invalid="ignore"):
        return float(np.nan_to_num(jensenshannon(ours, gold), nan=0.0))
