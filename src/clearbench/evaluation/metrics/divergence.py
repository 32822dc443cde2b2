"""Computes how next-token distributions change on prompts that are about no person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clearbench.errors import DataError
from clearbench.evaluation.metric import Collections, Comparison
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.score import Direction, Range, Score
from clearbench.evaluation.tables import ROW_COLUMNS, GroupKey, Table
from clearbench.libraries import pd, special

#: One line per answer token of a neutral prompt: `masses` are the probabilities of classes of next
#: tokens.
NEUTRAL = Table("neutral", (*ROW_COLUMNS, "token", "masses"), row_key=None)
#: Smaller probabilities count as this much, so that a divergence stays finite.
LEAST_MASS = float(np.finfo(np.float32).tiny)


class DivergenceFromOriginal(
    Comparison,
    name="kl_from_original",
    title="KL divergence from the original",
    group="Side effects",
    needs=("next-token distributions on neutral prompts", "the original's"),
    shows=(
        "How far the model has moved where nothing was to be changed, in nats per token, along "
        "short answers to questions about nobody. Vocabularies over 4,096 tokens are folded into "
        "as many classes, which can only make it smaller. It is a distance, not damage: gold has "
        "one, too, and a model can lose knowledge that these few prompts do not touch."
    ),
):
    """Mean KL divergence of next-token distributions from the original's, on neutral prompts."""

    directions: ClassVar[Mapping[str, Direction]] = {"*": "down"}
    range: ClassVar[Range] = (0.0, None)

    def compare(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes one score per track, where the original is given."""
        ours, first = (
            _distributions(records, track) for records in (collections.model, collections.original)
        )
        if not ours or not first:
            return {}
        values = pd.Series(
            {row: divergence(first[row], ours[row]) for row in ours if row in first}, dtype=float
        )
        return {f"{SIDE}.{track}.{self.score_key}": self.mean(values, {}, SIDE)}


def _distributions(records: Records | None, track: str) -> dict[str, NDArray[np.float64]]:
    """Returns (tokens, classes) probabilities of each neutral prompt."""
    groups = {} if records is None else records.groups()
    group = groups.get(GroupKey(SIDE, track, "neutral"))
    if group is None:
        return {}
    ordered = group.table(NEUTRAL).sort_values(["row", "token"])
    return {str(row): np.stack(list(lines)) for row, lines in ordered.groupby("row")["masses"]}


def divergence(original: NDArray[np.floating], model: NDArray[np.floating]) -> float:
    """Computes the mean over tokens of KL(original || model), in nats.

    Args:
        original: Probabilities of the original, (tokens, classes).
        model: Probabilities of the other model, (tokens, classes).

    Raises:
        DataError: The two do not have the same tokens, or are not finite.
    """
    if original.shape != model.shape:
        raise DataError(
            f"distributions of {original.shape} and {model.shape} (tokens, classes)",
            "the original's records",
            "give records of the model that this one was made from",
        )
    if not (np.isfinite(original).all() and np.isfinite(model).all()):
        raise DataError(
            "probabilities on neutral prompts are not finite",
            "side",
            "the model's outputs are not finite; its run has diverged",
        )
    p, q = (np.maximum(masses.astype(float), LEAST_MASS) for masses in (original, model))
    return max(0.0, float(special.rel_entr(p, q).sum(axis=1).mean()))
