"""Whether a person is forgotten, or kept, in words and in images alike."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from clearbench.data.modality import modality
from clearbench.evaluation.metric import Comparison, View
from clearbench.evaluation.metrics.rouge import RougeL
from clearbench.evaluation.metrics.truth_ratio import known
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Direction, Score, mean_score

SPLITS = ("forget", "retain")


def consistency(text: float, image: float, split: str) -> float:
    """2ab / (a + b) on what is kept, (a^2 + b^2) / (a + b) on what is forgotten; 0 for a = b = 0.

    The second is at least as large as either's mean: knowledge left in one track is not averaged
    away by the other.
    """
    if text + image == 0:
        return 0.0
    if split == "forget":
        return (text**2 + image**2) / (text + image)
    return 2 * text * image / (text + image)


def agreement(text: float, image: float, split: str) -> float:
    """Of all pairs of a question and an image, the share with both right, or both wrong on forget.

    Args:
        text: Share of a person's questions that are answered rightly.
        image: The same of the images.
        split: `forget`, where both should be wrong, or another.
    """
    return (1 - text) * (1 - image) if split == "forget" else text * image


class CrossModalConsistency(Comparison):
    """UMU-Bench's joint ROUGE-L of both tracks, per person."""

    name = "cross_modal_consistency"
    needs: ClassVar[tuple[str, ...]] = ("generated answers with and without the picture",)
    directions: ClassVar[dict[str, Direction]] = {"forget": "gold", "*": "up"}
    paper = "UMU-Bench, NeurIPS 2025 (github.com/QDRhhhh/UMU-bench)"
    shows = (
        "Whether the same people are known in both tracks. UMU-Bench pairs one question asked in "
        "both ways; here a person's questions are paired with the same person's captions."
    )
    joint = staticmethod(consistency)

    @classmethod
    def compare(cls, view: View, track: str) -> dict[str, Score]:
        """One score per split, under the track with media."""
        if not modality(track).media:
            return {}
        found = {}
        for split in SPLITS:
            text, image = (cls._by_person(view, split, each) for each in ("text", track))
            shared = [person for person in text.index if person in image.index]
            values = {
                str(person): cls.joint(text[person], image[person], split) for person in shared
            }
            if values:
                found[f"{split}.{track}.{cls.name}"] = mean_score(
                    pd.Series(values),
                    {str(person): int(person) for person in shared},
                    cls.direction(split),
                    cls.version,
                    cls.range,
                )
        return found

    @classmethod
    def _by_person(cls, view: View, split: str, track: str) -> pd.Series:
        """The mean of each person's rows."""
        cell = view.main(split, track)
        if cell is None:
            return pd.Series(dtype=float)
        values = cls.per_row(cell, split)
        return values.groupby([cell.people[str(row)] for row in values.index]).mean()

    @staticmethod
    def per_row(cell: Cell, split: str) -> pd.Series:
        """ROUGE-L recall of each answer."""
        return RougeL.values(cell, split)


class CrossModalChoice(CrossModalConsistency):
    """UMU-Bench's form for multiple choice: right in both tracks, or wrong in both, per person."""

    name = "cross_modal_choice"
    needs = ("answer", "perturbed answers", "both with and without the picture")
    shows = (
        "Whether the same people are known in both tracks, by what the model finds likelier than "
        "every wrong answer, so no obedience is needed. On forgotten people it is the share of "
        "pairs with both wrong (`All Modal Error`); a question and a picture of one person make "
        "a pair. Wrong on purpose and wrong from ignorance look alike."
    )
    joint = staticmethod(agreement)

    @staticmethod
    def per_row(cell: Cell, split: str) -> pd.Series:
        """1 or 0: whether the truth is likelier than every wrong answer."""
        return known(cell).astype(float)
