"""Computes calibration: the gap between confidence and accuracy, on all that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections, Comparison
from clearbench.evaluation.metrics.probability import OTHER_NAMES
from clearbench.evaluation.records import SIDE
from clearbench.evaluation.score import Direction, Score

BINS = 10
#: Splits that every model should still answer well.
KEPT_SPLITS = ("retain", "real_faces", "real_authors", "real_world")


class CalibrationError(
    Comparison,
    name="calibration_error",
    group="Side effects",
    needs=("answer", "perturbed answers"),
    paper="Guo et al. 2017, arXiv 1706.04599: ten bins of equal width",
    shows=(
        "Whether the model is as often right as it is sure, over retained people, real faces, "
        "real authors and the real world. Confidence is the largest share of the whole likelihood "
        "among a row's answers, so it is about choosing, not about words. With few rows the number "
        "is above 0 for a perfectly calibrated model, too: compare with gold and original."
    ),
):
    """Expected calibration error of choosing the truth among wrong answers, on all that is kept."""

    directions: ClassVar[Mapping[str, Direction]] = {"*": "down"}

    def compare(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes one score per track."""
        rows = [
            (group.people[str(row)], row, *choice)
            for key, group in collections.model.groups().items()
            if key.split in KEPT_SPLITS and key.track == track
            for row, choice in choices(group)
        ]
        if not rows:
            return {}
        people, ids, sure, right = zip(*rows, strict=True)
        clusters = len({p if p >= 0 else row for p, row in zip(people, ids, strict=True)})
        error = calibration_error(sure, right)
        return {f"{SIDE}.{track}.{self.score_key}": self.scored(error, len(rows), clusters)}


def choices(group: RecordGroup) -> Iterator[tuple[str, tuple[float, bool]]]:
    """Yields each row with options, the model's confidence in its choice, and if it is true.

    A classifier chooses among the names it knows.

    Raises:
        DataError: A log-probability is not finite, or an answer has none.
    """
    if group.answers.empty or "log_probs" not in group.answers:
        return
    group.answer_means()  # refuses what would pass for an option that is not there
    totals = [float(np.sum(tokens)) for tokens in group.answers["log_probs"]]
    table = group.answers.assign(total=totals).pivot(index="row", columns="variant", values="total")
    kind = "perturbed" if "perturbed_0" in table else "known"
    wrong = [name for k in range(OTHER_NAMES) if (name := f"{kind}_{k}") in table]
    truths = [name for name in ("paraphrase", "answer") if name in table]
    if not wrong:  # own rows have no wrong answers to choose from
        return
    chosen = table.dropna(subset=wrong[:1])
    true = chosen[truths].bfill(axis=1).iloc[:, 0].to_numpy(dtype=float)
    others = chosen[wrong].fillna(-np.inf).to_numpy(dtype=float)
    best = others.max(axis=1)
    shares = np.exp(np.column_stack((others, true)) - np.maximum(true, best)[:, None])
    sure = shares.max(axis=1) / shares.sum(axis=1)
    for row, confidence, right in zip(chosen.index, sure, true > best, strict=True):
        yield str(row), (float(confidence), bool(right))


def calibration_error(sure: ArrayLike, right: ArrayLike) -> float:
    """Computes the sum over bins of the share of rows times |accuracy - mean confidence|."""
    confidence, correct = np.asarray(sure, float), np.asarray(right, float)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, correct - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
