"""Computes ROUGE: overlap of the generated answer with the truth, by the field's own scorer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import pandas as pd
from rouge_score.rouge_scorer import RougeScorer

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Metric

TASKS = ("qa", "caption", "choice")
NEEDS = ("generated answer",)


@cache
def _scorer() -> RougeScorer:
    return RougeScorer(["rouge1", "rougeL"], use_stemmer=True)


@cache
def rouge(truth: str, text: str) -> dict[str, float]:
    """Computes ROUGE-1 and ROUGE-L with stemming, recall and F1, of one answer."""
    scores = _scorer().score(truth, text)
    return {
        "rouge_1": float(scores["rouge1"].recall),
        "rouge_1_f1": float(scores["rouge1"].fmeasure),
        "rouge_l": float(scores["rougeL"].recall),
        "rouge_l_f1": float(scores["rougeL"].fmeasure),
    }


def _per_row(group: RecordGroup, part: str) -> pd.Series:
    generated = group.generations
    pairs = zip(generated["truth"], generated["text"], strict=True)
    values = [rouge(truth, text)[part] for truth, text in pairs]
    return pd.Series(values, index=generated["row"], dtype=float)


class RougeL(
    Metric,
    name="rouge_l",
    title="ROUGE-L",
    group="Generated answers",
    needs=NEEDS,
    paper="TOFU, arXiv 2401.06121",
    shows=(
        "How much of the true answer is said, in order. Long rambling is not punished, and words "
        "that any answer has count like the fact itself."
    ),
):
    """ROUGE-L recall with stemming, of the greedy answer.

    Attributes:
        f1: True for F1 in place of recall.
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"f1": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "f1": Case(
            title="F1",
            paper="MUSE, MLLMU-Bench and MMUnlearner report this variant",
            shows=(
                "As recall, with what is said besides the truth counted against it. A correct "
                "answer in other words scores low."
            ),
        )
    }

    f1: bool = False

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes recall or F1 per row."""
        return _per_row(group, "rouge_l_f1" if self.f1 else "rouge_l")


class Rouge1(
    Metric,
    name="rouge_1",
    title="ROUGE-1",
    group="Generated answers",
    needs=NEEDS,
    paper="TOFU, arXiv 2401.06121",
    shows="How many words of the true answer are said, in any order; the order may be nonsense.",
):
    """ROUGE-1 recall with stemming, of the greedy answer.

    Attributes:
        f1: True for F1 in place of recall.
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"f1": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "f1": Case(
            title="F1",
            shows="As ROUGE-1 recall, with what is said besides the truth counted against it.",
        )
    }

    f1: bool = False

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes recall or F1 per row."""
        return _per_row(group, "rouge_1_f1" if self.f1 else "rouge_1")


class NameRougeL(
    Metric,
    name="name_rouge_l",
    title="ROUGE-L of the name",
    group="Names and faces",
    needs=NEEDS,
    paper="CLEAR, arXiv 2410.18057",
    shows=(
        "Whether the model says the name unprompted, which is harder than choosing it. Half a name "
        "counts half."
    ),
):
    """ROUGE-L recall of the name the model generates for a face."""

    tasks: ClassVar[tuple[str, ...]] = ("name",)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes recall per image."""
        return _per_row(group, "rouge_l")
