"""Computes cross-modal agreement: people forgotten, or kept, in text and images alike."""

from __future__ import annotations

from abc import abstractmethod

from clearbench.data.modality import modality
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections, Comparison, main_group
from clearbench.evaluation.metrics.rouge import RougeL
from clearbench.evaluation.metrics.truth_ratio import known
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.libraries import pd

SPLITS = ("forget", "retain")


def consistency(text: float, image: float, split: str) -> float:
    """Computes 2ab / (a + b) on kept, (a^2 + b^2) / (a + b) on forgotten; 0 for a = b = 0.

    The second is at least as large as either's mean: knowledge left in one track is not averaged
    away by the other.
    """
    if text + image == 0:
        return 0.0
    if split == "forget":
        return (text**2 + image**2) / (text + image)
    return 2 * text * image / (text + image)


def agreement(text: float, image: float, split: str) -> float:
    """Computes the share of (question, image) pairs with both right, or both wrong on forget.

    Args:
        text: Share of a person's questions that are answered rightly.
        image: Share of a person's images that are answered rightly.
        split: `forget`, where both should be wrong, or another.
    """
    return (1 - text) * (1 - image) if split == "forget" else text * image


class _PerPerson(Comparison):
    """A number per person from rows of both tracks, averaged over the people."""

    @abstractmethod
    def joint(self, text: float, image: float, split: str) -> float:
        """Computes one person's number from the means of the person's rows."""

    @abstractmethod
    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one value per row."""

    def compare(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes one score per split, under the track with media."""
        if not modality(track).media:
            return {}
        scores = {}
        for split in SPLITS:
            text, image = (
                self._by_person(collections.model, split, part) for part in ("text", track)
            )
            shared = [person for person in text.index if person in image.index]
            values = {
                str(person): self.joint(text[person], image[person], split) for person in shared
            }
            if values:
                people = {str(person): int(person) for person in shared}
                key = f"{split}.{track}.{self.score_key}"
                scores[key] = self.mean(pd.Series(values), people, split)
        return scores

    def _by_person(self, records: Records, split: str, track: str) -> pd.Series:
        """Computes the mean of each person's rows."""
        group = main_group(records, split, track)
        if group is None:
            return pd.Series(dtype=float)
        values = self.per_row(group)
        return values.groupby([group.people[str(row)] for row in values.index]).mean()


class CrossModalConsistency(
    _PerPerson,
    name="cross_modal_consistency",
    group="Across modalities",
    needs=("generated answers with and without the picture",),
    version=2,
    paper="UMU-Bench, NeurIPS 2025 (github.com/QDRhhhh/UMU-bench)",
    shows=(
        "Whether the same people are known in both tracks. UMU-Bench pairs one question asked in "
        "both ways; here a person's questions are paired with the same person's captions."
    ),
):
    """UMU-Bench's joint ROUGE-L of both tracks, per person."""

    def joint(self, text: float, image: float, split: str) -> float:
        """Computes `consistency`."""
        return consistency(text, image, split)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes ROUGE-L recall of each answer."""
        return RougeL().values(group)


class CrossModalChoice(
    _PerPerson,
    name="cross_modal_choice",
    group="Across modalities",
    needs=("answer", "perturbed answers", "both with and without the picture"),
    paper="UMU-Bench, NeurIPS 2025 (github.com/QDRhhhh/UMU-bench)",
    shows=(
        "Whether the same people are known in both tracks, by what the model finds likelier than "
        "every wrong answer, so no obedience is needed. On forgotten people it is the share of "
        "pairs with both wrong (`All Modal Error`); a question and a picture of one person make "
        "a pair. Wrong on purpose and wrong from ignorance look alike."
    ),
):
    """Pairs right in both tracks, or wrong in both on forgotten people (UMU-Bench), per person."""

    def joint(self, text: float, image: float, split: str) -> float:
        """Computes `agreement`."""
        return agreement(text, image, split)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 where the truth is likelier than every wrong answer, else 0."""
        return known(group).astype(float)
