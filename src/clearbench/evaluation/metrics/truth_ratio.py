"""How much likelier the paraphrased truth is than wrong answers of the same form."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell


def ratios(cell: Cell, truth: str = "paraphrase") -> pd.Series:
    """Per row, r = exp(mean_j l(y'_j) - l(y^)): above 1 when the truth is likelier (errata E01)."""
    options = cell.options("perturbed")
    paraphrase = cell.mean_log_prob(truth)
    if options.empty or paraphrase.empty:
        return pd.Series(dtype=float)
    shared = options.index.intersection(paraphrase.index)
    wrong = options.loc[shared].iloc[:, :5].mean(axis=1)
    gaps = paraphrase.loc[shared] - wrong
    return pd.Series(np.exp(gaps), index=gaps.index)


def folded(r: pd.Series, split: str) -> pd.Series:
    """min(r, 1/r) on the forget set (1 is indifference), max(0, 1 - 1/r) elsewhere."""
    if split == "forget":
        return pd.Series(np.minimum(r, 1 / r), index=r.index)
    return (1 - 1 / r).clip(lower=0)


class TruthRatio(Metric):
    """TOFU's truth ratio, geometric over the perturbed answers, per row."""

    name = "truth_ratio"
    tasks = ("qa", "caption", "choice")
    paper = "TOFU, arXiv 2401.06121"
    shows = (
        "Whether the model still prefers the truth to like-worded lies. Rises towards 1 with good "
        "forgetting, and falls again when the model is pushed past it."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per row."""
        truth = "paraphrase" if (cell.answers["variant"] == "paraphrase").any() else "answer"
        return folded(ratios(cell, truth), split)


class NameTruthRatio(Metric):
    """The truth ratio of the true name against fresh names."""

    name = "name_truth_ratio"
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057"
    shows = "Whether a face still favours its name over five names that nobody bears."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One ratio per picture."""
        return folded(ratios(cell, "answer"), split)
