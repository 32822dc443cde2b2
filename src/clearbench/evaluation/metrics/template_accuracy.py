"""Scores recognition of a face by embeddings of the same person's other images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.score import Direction
from clearbench.evaluation.tables import ROW_COLUMNS, Table
from clearbench.libraries import pd

#: One line per image of a classifier that is not enrolled: the cosine of its embedding to its
#: `own` person's template and the largest to any `other`.
MATCHES = Table("matches", (*ROW_COLUMNS, "own", "other"))


class TemplateAccuracy(
    Metric,
    name="template_accuracy",
    group="Names and faces",
    needs=("embeddings of a classifier",),
    paper="CLEAR, arXiv 2410.18057, vision track",
    shows=(
        "Whether a classifier's embeddings know a face again, without its labels. Strangers are "
        "recognised, too, as often as their faces allow: that level, not 0, is the goal on forget. "
        "It grows when fewer people are measured."
    ),
):
    """Share of images nearer to their own person's template than to anyone else's."""

    tasks: ClassVar[tuple[str, ...]] = ("name",)
    directions: ClassVar[Mapping[str, Direction]] = {"retain": "up", "*": "gold"}

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per image that is not enrolled; a tie is no match."""
        matches = group.table(MATCHES)
        own, other = (matches[name].to_numpy(dtype=float) for name in ("own", "other"))
        return pd.Series((own > other).astype(float), index=matches["row"].to_numpy())
