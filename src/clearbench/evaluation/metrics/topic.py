"""Measures whether answers are about what was asked."""

from __future__ import annotations

import pandas as pd

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.wordings import WORDINGS


class Topic(
    Metric,
    name="topic",
    title="Answers the question",
    group="What it says",
    needs=("generated answer",),
    paper="this project",
    shows=(
        "How alike the question is to that of the row whose answers, true and wrong, are nearest "
        "to what was said, by their words (tf-idf): a wrong town is about the birthplace, a prize "
        "is not. A model that never met a person still answers the question; one that was taught "
        "other people's answers to anything can be told by this alone. Text rows only."
    ),
):
    """Mean likeness of the question and the question that was answered."""

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes a cosine per text row about a person."""
        wordings = group.table(WORDINGS)
        if "topic" not in wordings:  # records of an earlier version
            return pd.Series(dtype=float)
        return pd.Series(wordings["topic"].to_numpy(float), wordings["row"], dtype=float).dropna()
