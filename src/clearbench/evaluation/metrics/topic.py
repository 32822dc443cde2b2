"""Measures whether answers are about what was asked."""

from __future__ import annotations

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.wordings import WORDINGS
from clearbench.libraries import pd


class Topic(
    Metric,
    name="topic",
    title="Answers the question",
    group="What it says",
    needs=("generated answer",),
    version=2,
    paper="this project",
    range=(-1.0, 1.0),
    shows=(
        "What was said is nearest to the answers, true and wrong, of some row, by their words "
        "(tf-idf). The score is how many rows are less like the asked one than that row is: 1 for "
        "an answer to this question, 0 for one to any question. A wrong town is about the "
        "birthplace, a prize is not. A model that never met a person still answers the question; "
        "one that was taught other people's answers to anything can be told by this alone. Text "
        "rows only."
    ),
):
    """Mean place of the question that was answered among all, by its likeness to the asked one."""

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes a value from -1 to 1 per text row about a person."""
        wordings = group.table(WORDINGS)
        if "topic" not in wordings:  # records of an earlier version
            return pd.Series(dtype=float)
        return pd.Series(wordings["topic"].to_numpy(float), wordings["row"], dtype=float).dropna()
