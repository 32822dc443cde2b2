"""Is a face recognised by those of the same person? Accuracy by cosine of embeddings."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Direction


class TemplateAccuracy(Metric):
    """Share of images nearer to their own person's template than to anybody else's."""

    name = "template_accuracy"
    needs = ("embeddings of a classifier",)
    tasks = ("name",)
    directions: ClassVar[dict[str, Direction]] = {"retain": "up", "*": "gold"}
    paper = "CLEAR, arXiv 2410.18057, vision track"
    shows = (
        "Whether a classifier's embeddings know a face again, without its labels. Strangers are "
        "recognised, too, as often as their faces allow: that level, not 0, is the goal on forget. "
        "It grows when fewer people are measured."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """1 or 0 per image that is not enrolled; a tie is no match."""
        own, other = (cell.matches[name].to_numpy(dtype=float) for name in ("own", "other"))
        return pd.Series((own > other).astype(float), index=cell.matches["row"].to_numpy())
