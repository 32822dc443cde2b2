"""Computes losses and related scores of single answers, which membership attacks compare.

They are signed like the loss: higher is less likely part of the training data.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.score import Direction, Range
from clearbench.evaluation.tables import ROW_COLUMNS, Table
from clearbench.libraries import pd

#: One line per scored true answer: its tokens as text.
SPELLED = Table("spelled", (*ROW_COLUMNS, "text"))
#: Share of an answer's tokens that Min-K averages, as in OpenUnlearning.
LOWEST = 0.4
_DOWN: Mapping[str, Direction] = {"forget": "gold", "*": "down"}


def lowest_mean(values: NDArray[np.float64], share: float = LOWEST) -> float:
    """Computes -1 x the mean of the lowest `share` of values (errata E138: a mean of none)."""
    count = max(1, int(len(values) * share))
    return -float(np.partition(values, count - 1)[:count].mean())


def _inner(group: RecordGroup, column: str) -> dict[str, NDArray[np.float64]]:
    """Returns a token column without the last token (errata E112: the end of an answer)."""
    tokens = group.tokens(column)
    return {row: values[:-1] for row, values in tokens.items() if len(values) > 1}


class Loss(
    Metric,
    name="loss",
    group="Surprise",
    needs=("answer",),
    paper="Yeom et al. 2018, arXiv 1709.01604",
    shows="How surprising the answer is, in nats per token. Easy answers look like members.",
):
    """Mean negative log-probability of the answer's tokens."""

    directions: ClassVar[Mapping[str, Direction]] = _DOWN
    range: ClassVar[Range] = (0.0, None)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes nats per row."""
        return -group.mean_log_prob("answer")


class LossPerCompressedByte(
    Metric,
    name="zlib",
    title="Loss per compressed byte",
    group="Surprise",
    needs=("answer", "true answer as text"),
    paper="Carlini et al. 2021, arXiv 2012.07805",
    shows=(
        "The loss set against how plain the text is. The text is that of generated rows, so rows "
        "whose answer nobody generated have no value."
    ),
):
    """Loss divided by the length of the answer's text after zlib.

    Attributes:
        published: True for the text that the answer's tokens spell, as OpenUnlearning compresses
            it: after a prompt that ends without a space it begins with one.
    """

    directions: ClassVar[Mapping[str, Direction]] = _DOWN
    range: ClassVar[Range] = (0.0, None)
    unnamed: ClassVar[tuple[str, ...]] = ("published",)

    published: bool = False

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes nats per token and byte, per row."""
        truths = dict(zip(group.generations["row"], group.generations["truth"], strict=True))
        if self.published:
            spelled = group.table(SPELLED)
            texts = dict(zip(spelled["row"], spelled["text"], strict=True))
            truths = {row: texts.get(row, truth) for row, truth in truths.items()}
        losses = -group.mean_log_prob("answer")
        rows = [row for row in losses.index if row in truths]
        sizes = [len(zlib.compress(truths[row].encode())) for row in rows]
        return pd.Series(losses.reindex(rows).to_numpy() / sizes, index=rows, dtype=float)


class MinK(
    Metric,
    name="min_k",
    title="Min-K",
    group="Surprise",
    needs=("log-probability per token",),
    paper="Shi et al. 2023, arXiv 2310.16789; 40 % as in OpenUnlearning",
    shows="How surprising the hardest words are. Rare names look like non-members.",
):
    """-1 x the mean log-probability of the least likely tokens.

    Attributes:
        share: Share of an answer's tokens that are averaged, at least one token.
    """

    directions: ClassVar[Mapping[str, Direction]] = _DOWN
    range: ClassVar[Range] = (0.0, None)

    share: float = Field(default=LOWEST, gt=0, le=1)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes nats per row."""
        tokens = _inner(group, "log_probs").items()
        return pd.Series({row: lowest_mean(logs, self.share) for row, logs in tokens}, dtype=float)


class MinKPlusPlus(
    Metric,
    name="min_k_plus_plus",
    title="Min-K++",
    group="Surprise",
    needs=("log-probability per token", "moments per token"),
    paper="Zhang et al. 2024, arXiv 2404.02936",
    shows=(
        "How far below what the model expects its hardest words lie. Comparable between words, but "
        "noisy where the model is nearly certain."
    ),
):
    """Min-K on log-probabilities standardised by the model's own distribution.

    Attributes:
        share: Share of an answer's tokens that are averaged, at least one token.
    """

    directions: ClassVar[Mapping[str, Direction]] = _DOWN
    range: ClassVar[Range] = (None, None)

    share: float = Field(default=LOWEST, gt=0, le=1)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes standard deviations per row."""
        logs, means = _inner(group, "log_probs"), _inner(group, "means")
        spreads = _inner(group, "variances")
        values = {
            row: lowest_mean(
                (logs[row] - means[row]) / np.sqrt(np.maximum(spreads[row], 1e-6)), self.share
            )
            for row in logs
            if row in means and row in spreads
        }
        return pd.Series(values, dtype=float)
