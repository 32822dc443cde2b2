"""Overlap of what the model says with the truth, by the field's own scorer."""

from __future__ import annotations

from functools import cache

import pandas as pd
from rouge_score.rouge_scorer import RougeScorer

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell


@cache
def _scorer() -> RougeScorer:
    return RougeScorer(["rougeL"], use_stemmer=True)


@cache
def _rouge(truth: str, text: str) -> tuple[float, float]:
    found = _scorer().score(truth, text)["rougeL"]
    return float(found.recall), float(found.fmeasure)


def _per_row(cell: Cell, part: int) -> pd.Series:
    spoken = cell.generations
    values = [_rouge(a, b)[part] for a, b in zip(spoken["truth"], spoken["text"], strict=True)]
    return pd.Series(values, index=spoken["row"], dtype=float)


class RougeL(Metric):
    """ROUGE-L recall with stemming, of the greedy answer."""

    name = "rouge_l"
    tasks = ("qa", "caption", "choice")
    paper = "TOFU, arXiv 2401.06121"
    shows = "How much of the true answer is said, in order. Long rambling is not punished."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """Recall per row."""
        return _per_row(cell, 0)


class RougeLF1(Metric):
    """ROUGE-L F1 with stemming, of the greedy answer."""

    name = "rouge_l_f1"
    tasks = ("qa", "caption", "choice")
    shows = "As recall, with what is said beside the truth counted against it."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """F1 per row."""
        return _per_row(cell, 1)


class NameRougeL(Metric):
    """ROUGE-L recall of the name the model gives a face."""

    name = "name_rouge_l"
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057"
    shows = "Whether the model says the name unprompted, which is harder than choosing it."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """Recall per picture."""
        return _per_row(cell, 0)
