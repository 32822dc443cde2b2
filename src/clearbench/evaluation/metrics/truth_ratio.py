"""Computes truth ratios: likelihood of the paraphrased truth over that of wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.metrics.probability import ADDED, OPEN_PAPER, OTHER_NAMES
from clearbench.libraries import pd

TASKS = ("qa", "caption", "choice")
CODE = "CLEAR's code, mm/calculate_metrics.py"
#: Forms of the ratio of the truth to its wrong answers.
Form = Literal["geometric", "arithmetic", "pooled", "open"]


def truths(group: RecordGroup) -> pd.Series:
    """Returns -l(y^) per row: of the paraphrase, or of the answer without a paraphrase."""
    return group.mean_log_prob("paraphrase").combine_first(group.mean_log_prob("answer"))


def known(group: RecordGroup) -> pd.Series:
    """Whether, per row, the truth is likelier than every wrong answer, or a label than others.

    Rows without wrong answers are left out.
    """
    wrong = group.options("perturbed")
    best = (group.options("known") if wrong.empty else wrong).max(axis=1)
    return truths(group).reindex(best.index) > best


def _pairs(group: RecordGroup, first: int | None = None) -> tuple[pd.Series, pd.DataFrame]:
    """Returns the truth and the (first) wrong answers of the rows that have both."""
    options = group.options("perturbed").iloc[:, :first]
    true = truths(group)
    rows = [row for row in options.index if row in true.index]
    return true.reindex(rows), options.reindex(rows)


def ratios(group: RecordGroup, first: int | None = None) -> pd.Series:
    """Computes r = exp(mean_j l(y'_j) - l(y^)) per row: above 1 when the truth is likelier."""
    true, options = _pairs(group, first)
    with np.errstate(over="ignore", under="ignore"):
        return pd.Series(np.exp(true - options.mean(axis=1)), index=true.index, dtype=float)


def arithmetic_ratios(group: RecordGroup) -> pd.Series:
    """Computes r = p(y^) / mean_j p(y'_j) per row: the papers' definition."""
    true, options = _pairs(group)
    with np.errstate(over="ignore", under="ignore"):
        wrong = np.exp(options.sub(true, axis=0)).mean(axis=1)
        return pd.Series(1 / wrong, index=true.index, dtype=float)


def pooled_ratios(group: RecordGroup) -> pd.Series:
    """Computes r per row with one mean over all wrong answers of all rows, not the row's own."""
    true, options = _pairs(group)
    if options.empty:
        return pd.Series(dtype=float)
    with np.errstate(over="ignore", under="ignore"):
        return pd.Series(np.exp(true - float(np.nanmean(options))), index=true.index, dtype=float)


def lies_to_truth(group: RecordGroup) -> pd.Series:
    """Computes R = exp(-mean_j l(y'_j)) / (p(y^) + 1e-10) per row: opposite to TOFU's r."""
    wrong, true = group.options("perturbed").mean(axis=1), truths(group)
    rows = [row for row in wrong.index if row in true.index]
    wrong, true = wrong.reindex(rows), true.reindex(rows)
    return pd.Series(np.exp(wrong) / (np.exp(true) + ADDED), index=rows, dtype=float)


#: The ratios of a group by form.
RATIOS: dict[Form, Callable[[RecordGroup], pd.Series]] = {
    "geometric": ratios,
    "arithmetic": arithmetic_ratios,
    "pooled": pooled_ratios,
    "open": lies_to_truth,
}


def folded(r: pd.Series, split: str) -> pd.Series:
    """Computes min(r, 1/r) on the forget set (1 is indifference), max(0, 1 - 1/r) elsewhere."""
    with np.errstate(divide="ignore"):
        if split == "forget":
            return pd.Series(np.minimum(r, 1 / r), index=r.index)
        return (1 - 1 / r).clip(lower=0)


def _folded_open(ratio: pd.Series, split: str) -> pd.Series:
    """Computes min(R, 1/(R + 1e-10)) on the forget set, max(0, 1 - R) elsewhere."""
    if split == "forget":
        return pd.Series(np.minimum(ratio, 1 / (ratio + ADDED)), index=ratio.index)
    return (1 - ratio).clip(lower=0)


class TruthRatio(
    Metric,
    name="truth_ratio",
    group="Truth ratio",
    needs=("paraphrase or answer", "perturbed answers"),
    paper="TOFU, arXiv 2401.06121",
    shows=(
        "Whether the model still prefers the truth to like-worded lies. Rises towards 1 with good "
        "forgetting, and falls again when the model is pushed past it (errata E79: more is not "
        "better)."
    ),
):
    """TOFU's truth ratio, geometric over the perturbed answers, per row.

    Attributes:
        form: Mean over wrong answers (`geometric`, `arithmetic`), one mean over the wrong answers
            of all rows (`pooled`, as CLEAR's code), or OpenUnlearning's constant (`open`).
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"form": "arithmetic"})
    cases: ClassVar[Mapping[str, Case]] = {
        "arithmetic": Case(
            paper=(
                "TOFU, arXiv 2401.06121, equation 1; no published number was computed so "
                "(errata E81: code and paper take different means)"
            ),
            shows=(
                "As the truth ratio, but one likely lie is enough to bring it down. Not comparable "
                "with published numbers, which are geometric."
            ),
        ),
        "pooled": Case(
            erratum="E01",
            paper=CODE,
            pooled=True,
            shows=(
                "What CLEAR's multimodal tables hold: each truth is compared with the mean over "
                "the wrong answers of every row, so the number mixes how hard the rows are with "
                "what is known."
            ),
        ),
        "open": Case(
            title="OpenUnlearning",
            erratum="E113",
            paper=OPEN_PAPER,
            shows=(
                "OpenUnlearning's truth ratio. Equal to TOFU's until a model finds the truth less "
                "likely than about 1e-8; then the added constant decides."
            ),
        ),
    }

    form: Form = "geometric"

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one ratio per row; it depends on the other rows where it is pooled."""
        fold = _folded_open if self.form == "open" else folded
        return fold(RATIOS[self.form](group), group.key.split)


class NameTruthRatio(
    Metric,
    name="name_truth_ratio",
    group="Names and faces",
    needs=("answer", "perturbed answers"),
    paper="CLEAR, arXiv 2410.18057",
    shows=(
        "Whether a face still favours its name over five names that nobody bears. A model that "
        "shuns the true name scores like one that knows it."
    ),
):
    """Truth ratio of the true name against five fresh names.

    Attributes:
        form: `pooled` takes one mean over the names of all rows, as CLEAR's code.
    """

    tasks: ClassVar[tuple[str, ...]] = ("name",)
    cases: ClassVar[Mapping[str, Case]] = {
        "pooled": Case(
            erratum="E01",
            paper=CODE,
            pooled=True,
            shows="What CLEAR's tables hold for names; see `truth_ratio_pooled`.",
        )
    }

    form: Literal["geometric", "pooled"] = "geometric"

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one ratio per image; it depends on the other images where it is pooled."""
        own = partial(ratios, first=OTHER_NAMES)
        return folded((pooled_ratios if self.form == "pooled" else own)(group), group.key.split)


class TruthProbability(
    Metric,
    name="truth_probability",
    group="Truth ratio",
    needs=("paraphrase or answer", "perturbed answers"),
    paper="OpenUnlearning, arXiv 2506.12618, as `prob_mean`",
    shows=(
        "The share of belief that falls on the truth rather than on a typical lie: 1/2 is "
        "ignorance, below it the truth is shunned. The most faithful of the truth ratios, but one "
        "epoch of relearning brings it back."
    ),
):
    """p(y^) / (p(y^) + geometric mean of p(y'_j)): the truth ratio as a probability."""

    tasks: ClassVar[tuple[str, ...]] = TASKS

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one probability per row."""
        with np.errstate(divide="ignore"):
            return 1 / (1 + 1 / ratios(group))
