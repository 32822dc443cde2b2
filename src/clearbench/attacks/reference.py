"""Attacks membership by loss minus the reference model's loss."""

from __future__ import annotations

from clearbench.attacks.membership import MembershipAttack, Rows
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.records import Records
from clearbench.libraries import pd


class ReferenceAttack(
    MembershipAttack,
    name="mia_reference",
    title="Membership by loss against gold's",
    group="Membership attacks",
    needs=("records",),
    reads=("answer", "holdout people", "gold's records"),
    paper="Carlini et al. 2021, arXiv 2012.07805",
    shows=(
        "Whether forgotten people's answers are easier than gold finds them, by more than holdout "
        "people's are. Strong, because gold is the best reference there is; gold itself has 1/2."
    ),
):
    """Membership by loss minus the reference model's loss."""

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes loss minus gold's loss on the rows that both have."""
        gold = collections.gold.groups().get(group.key) if collections.gold else None
        if gold is None:
            return pd.Series(dtype=float)
        gaps: pd.Series = gold.mean_log_prob("answer") - group.mean_log_prob("answer")
        return gaps.dropna()

    def sides(
        self, collections: Collections, records: Records | None, track: str
    ) -> tuple[Rows, Rows] | None:
        """Returns sides as the base does; none for gold beside another model.

        PrivLeak divides by gold's AUC, and here all of gold's differences are 0.
        """
        if records is collections.gold and records is not collections.model:
            return None
        return super().sides(collections, records, track)
