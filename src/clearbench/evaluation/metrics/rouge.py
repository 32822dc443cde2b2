"""Overlap of what the model says with the truth, by the field's own scorer."""

from __future__ import annotations

from functools import cache

import pandas as pd
from rouge_score.rouge_scorer import RougeScorer

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell

TASKS = ("qa", "caption", "choice")
NEEDS = ("generated answer",)


@cache
def _scorer() -> RougeScorer:
    return RougeScorer(["rouge1", "rougeL"], use_stemmer=True)


@cache
def rouge(truth: str, text: str) -> dict[str, float]:
    """ROUGE-1 and ROUGE-L with stemming, recall and F1, of one answer."""
    found = _scorer().score(truth, text)
    return {
        "rouge_1": float(found["rouge1"].recall),
        "rouge_1_f1": float(found["rouge1"].fmeasure),
        "rouge_l": float(found["rougeL"].recall),
        "rouge_l_f1": float(found["rougeL"].fmeasure),
    }


def _per_row(cell: Cell, part: str) -> pd.Series:
    spoken = cell.generations
    values = [rouge(a, b)[part] for a, b in zip(spoken["truth"], spoken["text"], strict=True)]
    return pd.Series(values, index=spoken["row"], dtype=float)


class RougeL(Metric):
    """ROUGE-L recall with stemming, of the greedy answer."""

    name = "rouge_l"
    needs = NEEDS
    tasks = TASKS
    paper = "TOFU, arXiv 2401.06121"
    shows = (
        "How much of the true answer is said, in order. Long rambling is not punished, and words "
        "that any answer has count like the fact itself."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """Recall per row."""
        return _per_row(cell, "rouge_l")


class RougeLF1(Metric):
    """ROUGE-L F1 with stemming, of the greedy answer."""

    name = "rouge_l_f1"
    needs = NEEDS
    tasks = TASKS
    paper = "MUSE, MLLMU-Bench and MMUnlearner report this variant"
    shows = (
        "As recall, with what is said beside the truth counted against it. A correct answer in "
        "other words scores low."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """F1 per row."""
        return _per_row(cell, "rouge_l_f1")


class Rouge1(Metric):
    """ROUGE-1 recall with stemming, of the greedy answer."""

    name = "rouge_1"
    needs = NEEDS
    tasks = TASKS
    paper = "TOFU, arXiv 2401.06121"
    shows = "How many words of the true answer are said, in any order; the order may be nonsense."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """Recall per row."""
        return _per_row(cell, "rouge_1")


class Rouge1F1(Metric):
    """ROUGE-1 F1 with stemming, of the greedy answer."""

    name = "rouge_1_f1"
    needs = NEEDS
    tasks = TASKS
    shows = "As ROUGE-1 recall, with what is said beside the truth counted against it."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """F1 per row."""
        return _per_row(cell, "rouge_1_f1")


class NameRougeL(Metric):
    """ROUGE-L recall of the name the model gives a face."""

    name = "name_rouge_l"
    needs = NEEDS
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057"
    shows = (
        "Whether the model says the name unprompted, which is harder than choosing it. Half a name "
        "counts half."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """Recall per image."""
        return _per_row(cell, "rouge_l")
