"""Attacks membership by the loss of an answer, zlib, Min-K and Min-K++."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from clearbench.attacks.membership import MembershipAttack
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.metrics.surprise import (
    LOWEST,
    Loss,
    LossPerCompressedByte,
    MinK,
    MinKPlusPlus,
)
from clearbench.libraries import pd


class LossAttack(
    MembershipAttack,
    name="mia_loss",
    title="Membership by loss",
    group="Membership attacks",
    needs=("records",),
    reads=("answer", "holdout people"),
    paper="Yeom et al. 2018, arXiv 1709.01604",
    shows=(
        "Whether forgotten people's answers are less surprising than those of people never seen. "
        "One threshold for all, so it understates what a per-person attack finds."
    ),
):
    """Membership by loss."""

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes the loss per row."""
        return Loss().values(group)


class ZlibAttack(
    MembershipAttack,
    name="mia_zlib",
    title="Membership by loss per compressed byte",
    group="Membership attacks",
    needs=("records",),
    reads=("answer", "true answer as text", "holdout people"),
    paper="Carlini et al. 2021, arXiv 2012.07805",
    shows="As by loss, with plain texts made up for. Needs the holdout answers' texts.",
):
    """Membership by loss per compressed byte.

    Attributes:
        published: True for the text that the answer's tokens spell, as OpenUnlearning.
    """

    unnamed: ClassVar[tuple[str, ...]] = ("published",)

    published: bool = False

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes the loss per compressed byte, per row."""
        return LossPerCompressedByte(published=self.published).values(group)


class MinKAttack(
    MembershipAttack,
    name="mia_min_k",
    title="Membership by Min-K",
    group="Membership attacks",
    needs=("records",),
    reads=("log-probability per token", "holdout people"),
    paper="Shi et al. 2023, arXiv 2310.16789",
    shows="As by loss, on the hardest words only; wording differs less there than by chance.",
):
    """Membership by Min-K.

    Attributes:
        share: Share of an answer's tokens that are averaged.
    """

    share: float = Field(default=LOWEST, gt=0, le=1)

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes Min-K per row."""
        return MinK(share=self.share).values(group)


class MinKPlusPlusAttack(
    MembershipAttack,
    name="mia_min_k_plus_plus",
    title="Membership by Min-K++",
    group="Membership attacks",
    needs=("records",),
    reads=("log-probability per token", "moments per token", "holdout people"),
    paper="Zhang et al. 2024, arXiv 2404.02936",
    shows="As by Min-K, measured against what the model expected; noisy on nearly certain words.",
):
    """Membership by Min-K++.

    Attributes:
        share: Share of an answer's tokens that are averaged.
    """

    share: float = Field(default=LOWEST, gt=0, le=1)

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes Min-K++ per row."""
        return MinKPlusPlus(share=self.share).values(group)
