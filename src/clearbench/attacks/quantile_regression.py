"""Attacks one model by the quantiles of non-members' losses, given what a row is like."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.linear_model import QuantileRegressor

from clearbench.attacks.membership import MembershipAttack, attacked_group
from clearbench.attacks.signals import Numbers, People
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections

#: Quantiles that are regressed: centre, and spread by the quartiles.
QUARTILES = (0.25, 0.5, 0.75)
#: Least spread of a row as a share of that of all non-members: quartiles may cross in few rows.
LEAST_SPREAD = 0.1


class QuantileRegression(
    MembershipAttack,
    name="quantile_regression",
    title="Membership by quantile regression",
    group="Membership attacks",
    needs=("records",),
    reads=("answer", "true answer as text", "holdout people"),
    paper="Bertran et al. 2023, arXiv 2307.03694",
    variants=(),
    shows=(
        "Whether forgotten people's answers are less surprising than those of people never seen "
        "that are as long and as plain. A threshold per row without any shadow model. A "
        "classifier's rows have no text, so it gives nothing there."
    ),
):
    """Membership by the distance of a row's loss from its quartiles among non-members.

    The paper regresses on the input itself; here on the numbers of tokens, of bytes, and of bytes
    after zlib of the true answer. The losses of holdout people are regressed in turns, each person
    by a regression on others, and forget people by the same regressions.

    Attributes:
        folds: Parts of the holdout people that are left out in turn.
    """

    folds: int = Field(default=5, ge=2)

    def row_values(self, collections: Collections, group: RecordGroup) -> pd.Series:
        """Computes (loss - median) / (distance of the quartiles) at each row's features."""
        holdout = attacked_group(collections.model, "holdout", group.key.track)
        if holdout is None:
            return pd.Series(dtype=float)
        ours, theirs = features(group), features(holdout)
        if ours.empty or theirs.empty:
            return pd.Series(dtype=float)
        usual, spread = theirs.mean(), theirs.std(ddof=0)
        kept = list(spread.index[spread > 0])
        ours, theirs = ((each - usual)[kept] / spread[kept] for each in (ours, theirs))
        losses = -holdout.mean_log_prob("answer").reindex(theirs.index)
        parts, others = _parts(group, ours, self.folds), _parts(holdout, theirs, self.folds)
        own = -group.mean_log_prob("answer").reindex(ours.index)
        found = pd.Series(np.nan, index=ours.index)
        for part in np.unique(parts):
            learned = others != part
            if not learned.any():
                return pd.Series(dtype=float)
            mine = parts == part
            quartiles = _quartiles(theirs[learned], losses[learned], ours[mine])
            found[mine] = _standard(own[mine].to_numpy(), quartiles, losses[learned].to_numpy())
        return found


def features(group: RecordGroup) -> pd.DataFrame:
    """Computes what a true answer is like, in logarithms, (rows, features), by row id."""
    generated = group.generations
    truths = dict(zip(generated["row"], generated["truth"], strict=True))
    tokens = group.tokens("log_probs")
    lines = {
        row: (
            np.log(len(tokens[row])),
            np.log(1 + len(truths[row].encode())),
            np.log(len(zlib.compress(truths[row].encode()))),
        )
        for row in sorted(tokens)
        if row in truths
    }
    columns = ["tokens", "bytes", "compressed"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns)


def _parts(group: RecordGroup, rows: pd.DataFrame, folds: int) -> People:
    """Numbers the part of each row's person; people are dealt out in their order."""
    people = np.array([group.people[str(row)] for row in rows.index])
    _, places = np.unique(people, return_inverse=True)
    parts: People = places % folds
    return parts


def _quartiles(features: pd.DataFrame, losses: pd.Series, at: pd.DataFrame) -> Numbers:
    """Regresses the quartiles of losses on features, (3, rows at which they are wanted)."""
    found = [
        QuantileRegressor(quantile=level, alpha=0.0, solver="highs")
        .fit(features.to_numpy(), losses.to_numpy())
        .predict(at.to_numpy())
        for level in QUARTILES
    ]
    return np.sort(np.array(found), axis=0)


def _standard(values: Numbers, quartiles: Numbers, losses: Numbers) -> Numbers:
    low, middle, high = quartiles
    overall = float(np.subtract(*np.quantile(losses, [0.75, 0.25])))
    scale = np.maximum(high - low, LEAST_SPREAD * overall)
    standard: Numbers = (values - middle) / np.where(scale > 0, scale, 1.0)
    return standard
