"""Attacks one model by a classifier of its confidence on retained and on unseen people (U-SVC)."""

from __future__ import annotations

import numpy as np

from clearbench.attacks.base import ATTACKED, Attack, Target
from clearbench.attacks.membership import attacked_group
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.score import Score
from clearbench.libraries import pd

#: Cost of a row on the wrong side, as in Unlearn-Sparse.
COST = 3.0


class USvc(
    Attack,
    name="u_svc",
    title="U-SVC",
    group="Membership attacks",
    needs=("records",),
    reads=("answer", "retained people", "holdout people"),
    paper="Jia et al. 2023, arXiv 2304.04934 (MIA-efficacy); Song and Mittal 2021",
    variants=(),
    shows=(
        "Share of forgotten people's rows that a classifier, learned from the model's confidence "
        "on retained and on unseen people, takes for unseen. Gold's share is the goal, not 1, and "
        "it says little where retained and unseen rows are alike."
    ),
):
    """Share of forget rows that an SVC on confidence, retain against holdout, calls unseen."""

    def table(self, target: Target) -> pd.DataFrame:
        """Computes one line per forget row: how far it lies on the side of people never seen."""
        given = target.collections
        return ATTACKED.frame(
            (*group.key, group.people[str(row)], row, self.score_key, value)
            for track in given.tracks
            if (group := attacked_group(given.model, "forget", track)) is not None
            for row, value in self.distances(given, track).items()
        )

    def scores(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes the share of forget rows on the side of people never seen, by person."""
        group = attacked_group(collections.model, "forget", track)
        values = self.distances(collections, track)
        if group is None or values.empty:
            return {}
        unseen = (values > 0).astype(float)
        return {f"forget.{track}.{self.score_key}": self.mean(unseen, group.people, "forget")}

    def distances(self, collections: Collections, track: str) -> pd.Series:
        """Computes the forget rows' decision values, above 0 for unseen; empty without a side."""
        from sklearn.svm import SVC

        groups = {
            split: attacked_group(collections.model, split, track)
            for split in ("forget", "retain", "holdout")
        }
        forget, retain, holdout = (_confidence(group) for group in groups.values())
        if forget.empty or retain.empty or holdout.empty:
            return pd.Series(dtype=float)
        seen = np.concatenate([retain, holdout])[:, None]
        labels = np.repeat([0, 1], [len(retain), len(holdout)])
        learned = SVC(C=COST, gamma="auto", kernel="rbf").fit(seen, labels)
        values = learned.decision_function(forget.to_numpy()[:, None])
        return pd.Series(values, index=forget.index, dtype=float)


def _confidence(group: RecordGroup | None) -> pd.Series:
    """Computes the probability of each row's own answer, in the order of row ids."""
    if group is None:
        return pd.Series(dtype=float)
    logs = group.mean_log_prob("answer").sort_index()
    return pd.Series(np.exp(logs.to_numpy(dtype=float)), index=logs.index)
