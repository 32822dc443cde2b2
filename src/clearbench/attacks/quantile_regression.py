"""Attacks one model by the quantiles of non-members' losses, given what a row is like."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from clearbench.attacks.membership import MembershipAttack, attacked_group
from clearbench.attacks.signals import Numbers, People
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Collections
from clearbench.libraries import pd

if TYPE_CHECKING:
    from sklearn.linear_model import QuantileRegressor

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
    reads=("log-probability per token", "true answer as text", "holdout people"),
    paper="Bertran et al. 2023, arXiv 2307.03694",
    variants=(),
    shows=(
        "Whether forgotten people's answers are less surprising than those of people never seen "
        "that are as long and as plain. A threshold per row without any shadow model. Labels have "
        "no length, so it gives nothing for classifiers."
    ),
):
    """Membership by the distance of a row's loss from its quartiles among non-members.

    The paper regresses on the input itself; here on the number of tokens of the true answer and,
    where its text is known, of bytes before and after zlib. Holdout people are judged in turns,
    each by a regression on others, and forget people by the same regressions.

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
        columns = tuple(name for name in theirs if name in ours and theirs[name].nunique() > 1)
        parts, others = _parts(group, ours, self.folds), _parts(holdout, theirs, self.folds)
        if not columns or len(np.unique(others)) < 2:
            return pd.Series(dtype=float)
        losses = -group.mean_log_prob("answer").reindex(ours.index)
        found = pd.Series(np.nan, index=ours.index)
        for part in np.unique(parts):
            learned, mine = _learned(holdout, columns, self.folds, int(part)), parts == part
            found[mine] = learned.standard(ours.loc[mine, list(columns)], losses[mine])
        return found


def features(group: RecordGroup) -> pd.DataFrame:
    """Computes what a true answer is like, in logarithms, (rows, features), by row id.

    Bytes are there where every row's text is: of answers that were generated.
    """
    generated = group.generations
    truths = dict(zip(generated["row"], generated["truth"], strict=True))
    tokens = group.tokens("log_probs")
    rows = sorted(tokens)
    found = pd.DataFrame({"tokens": [np.log(len(tokens[row])) for row in rows]}, index=rows)
    if set(rows) <= set(truths):
        texts = [truths[row].encode() for row in rows]
        found["bytes"] = [np.log(1 + len(text)) for text in texts]
        found["compressed"] = [np.log(len(zlib.compress(text))) for text in texts]
    return found


def _parts(group: RecordGroup, rows: pd.DataFrame, folds: int) -> People:
    """Numbers the part of each row's person; people are dealt out in their order."""
    people = np.array([group.people[str(row)] for row in rows.index])
    _, places = np.unique(people, return_inverse=True)
    parts: People = places % folds
    return parts


@dataclass(frozen=True)
class Quartiles:
    """Regressions of the quartiles of losses on features.

    Attributes:
        centre: Means of the features.
        spread: Their standard deviations.
        models: A regression for each of `QUARTILES`.
        overall: Distance of the quartiles of all losses.
    """

    centre: pd.Series
    spread: pd.Series
    models: tuple[QuantileRegressor, ...]
    overall: float

    @classmethod
    def of(cls, known: pd.DataFrame, losses: pd.Series) -> Quartiles:
        """Regresses losses on features that are known of the same rows."""
        from sklearn.linear_model import QuantileRegressor

        centre, spread = known.mean(), known.std(ddof=0).replace(0.0, 1.0)
        scaled = ((known - centre) / spread).to_numpy()
        models = [
            QuantileRegressor(quantile=level, alpha=0.0, solver="highs").fit(scaled, losses)
            for level in QUARTILES
        ]
        overall = float(np.subtract(*np.quantile(losses, [0.75, 0.25])))
        return cls(centre, spread, tuple(models), overall)

    def standard(self, known: pd.DataFrame, losses: pd.Series) -> Numbers:
        """Computes how many distances of the quartiles losses lie above the median."""
        scaled = ((known - self.centre) / self.spread).to_numpy()
        low, middle, high = np.sort([made.predict(scaled) for made in self.models], axis=0)
        scale = np.maximum(high - low, LEAST_SPREAD * self.overall)
        standard: Numbers = (losses.to_numpy() - middle) / np.where(scale > 0, scale, 1.0)
        return standard


@lru_cache(maxsize=64)
def _learned(holdout: RecordGroup, columns: tuple[str, ...], folds: int, part: int) -> Quartiles:
    """Regresses the losses of all holdout people but those of a part."""
    known = features(holdout)
    others = _parts(holdout, known, folds) != part
    losses = -holdout.mean_log_prob("answer").reindex(known.index)
    return Quartiles.of(known.loc[others, list(columns)], losses[others])
