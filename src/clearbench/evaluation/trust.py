"""Rates metrics: do they tell models that know from models that do not, and does that last?

OpenUnlearning (Dorna et al. 2025, arXiv 2506.12618, section 4.1) calls the first faithfulness and
the second robustness, under relearning (equation 2) and quantisation (equation 3). The unlearning
depth score (Lee et al. 2026, arXiv 2605.24614) rates both directions of a change alike. The
equations are taken from the depth score's programs (scripts/legacy/meta_eval_robustness_legacy.py,
runs/meta_eval/robustness), which quote them; its first version of quantisation divides the other
way round, so that a metric by which everything comes back would be rated 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from clearbench.libraries import pd, stats

#: `one-sided` rates what comes back alone, as OpenUnlearning; `symmetric` any change.
Form = Literal["one-sided", "symmetric"]
#: Number added to every part of a harmonic mean, as in the published board of 150 models.
ADDED = 1e-12
#: Faithfulness from which a metric tells models apart well, and under which it hardly does.
FAITHFUL, UNFAITHFUL = 0.9, 0.75
#: Robustness under which a metric says nothing of what an attack leaves.
ROBUST = 0.5
#: Chance of an equal separation by a metric without any knowledge, above which nothing is said.
CHANCE = 0.05


class Change(BaseModel):
    """Values of a metric on one model before and after an attack."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    before: float
    after: float

    @property
    def rise(self) -> float:
        """Value after the attack less that before it."""
        return self.after - self.before


class Trust(BaseModel):
    """How far a metric can be believed.

    Attributes:
        faithfulness: Chance that a model that knows the people has a higher value (area under the
            ROC curve).
        chance: Probability that a metric without any knowledge separates as well.
        relearning: Mean rating under relearning; None without models.
        quantisation: Mean rating under quantisation; None without models.
        robustness: Harmonic mean of the two.
        overall: Harmonic mean of faithfulness and robustness.
        knowing: Number of models that know the people.
        ignorant: Number of models that do not.
        attacked: Number of unlearned models that were attacked.
        believe: Words on whether to believe it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str
    faithfulness: float
    chance: float
    relearning: float | None = None
    quantisation: float | None = None
    robustness: float | None = None
    overall: float | None = None
    knowing: int
    ignorant: int
    attacked: int = 0
    believe: str = ""


def harmonic(parts: Sequence[float]) -> float:
    """Computes the harmonic mean of parts of at least 0, to each of which `ADDED` is added."""
    return len(parts) / sum(1 / (part + ADDED) for part in parts)


def faithfulness(knowing: Sequence[float], ignorant: Sequence[float]) -> tuple[float, float]:
    """Computes the area under the ROC curve, and the chance of it without any knowledge.

    Args:
        knowing: Values on models that know the people, higher for more knowledge.
        ignorant: Values on models that do not.

    Returns:
        The area, ties as half, and the one-sided exact (or with ties, asymptotic) Mann-Whitney p.
    """
    found = stats.mannwhitneyu(knowing, ignorant, alternative="greater")
    return float(found.statistic) / (len(knowing) * len(ignorant)), float(found.pvalue)


def relearning(unlearned: Change, gold: Change, form: Form = "one-sided") -> float:
    """Rates a metric by how fast it rises in relearning, beside a model that never knew.

    One-sided: min(d_gold / d_unlearned, 1), at least 0. It is 1 where the unlearned model learns
    the answers no faster than gold. Symmetric: 1 - |d_u - d_g| / (|d_u| + |d_g|).

    Args:
        unlearned: Metric of the unlearned model, higher for more knowledge.
        gold: Metric of gold under the same training.
        form: Form of the rating.
    """
    if form == "symmetric":
        return _alike(unlearned.rise, gold.rise)
    if unlearned.rise == 0:
        return 1.0 if gold.rise >= 0 else 0.0
    return float(np.clip(gold.rise / unlearned.rise, 0.0, 1.0))


def quantisation(change: Change, form: Form = "one-sided", rises: bool = True) -> float:
    """Rates a metric by whether knowledge comes back in rounding.

    One-sided: min(before / after, 1) for a metric that rises with knowledge, min(after / before, 1)
    for one that falls. Symmetric: 1 - |before - after| / (|before| + |after|).

    Args:
        change: Metric of the unlearned model before and after.
        form: Form of the rating.
        rises: True if more knowledge makes the metric larger.
    """
    if form == "symmetric":
        return _alike(change.before, change.after)
    above, below = (change.before, change.after) if rises else (change.after, change.before)
    if below == 0:
        return 1.0
    return float(np.clip(above / below, 0.0, 1.0))


def _alike(first: float, second: float) -> float:
    size = abs(first) + abs(second)
    return 1.0 if size == 0 else 1 - abs(first - second) / size


def rated(
    metric: str,
    knowing: Sequence[float],
    ignorant: Sequence[float],
    relearned: Sequence[tuple[Change, Change]] = (),
    rounded: Sequence[Change] = (),
    *,
    rises: bool = True,
    form: Form = "one-sided",
) -> Trust:
    """Rates one metric.

    Args:
        metric: Name of the metric.
        knowing: Values on models that know the people.
        ignorant: Values on models that do not.
        relearned: Changes by relearning of each unlearned model, and of its gold.
        rounded: Changes by quantisation of each unlearned model.
        rises: True if more knowledge makes the metric larger.
        form: Form of the robustness.
    """
    sign = 1.0 if rises else -1.0
    area, chance = faithfulness(
        [sign * value for value in knowing], [sign * value for value in ignorant]
    )
    learned = _mean([relearning(ours, gold, form) for ours, gold in _signed(relearned, sign)])
    cut = _mean([quantisation(change, form, rises) for change in rounded])
    robust = None if learned is None or cut is None else min(harmonic((learned, cut)), 1.0)
    found = Trust(
        metric=metric,
        faithfulness=area,
        chance=chance,
        relearning=learned,
        quantisation=cut,
        robustness=robust,
        overall=None if robust is None else min(harmonic((area, robust)), 1.0),
        knowing=len(knowing),
        ignorant=len(ignorant),
        attacked=max(len(relearned), len(rounded)),
    )
    return found.model_copy(update={"believe": believe(found)})


def _signed(relearned: Sequence[tuple[Change, Change]], sign: float) -> list[tuple[Change, Change]]:
    def turned(change: Change) -> Change:
        return Change(before=sign * change.before, after=sign * change.after)

    return [(turned(ours), turned(gold)) for ours, gold in relearned]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def believe(found: Trust) -> str:
    """Words whether a metric is to be believed, by its faithfulness first."""
    if found.faithfulness < UNFAITHFUL:
        return "no: it does not tell models that know from models that do not"
    if found.chance > CHANCE:
        return "cannot be said: too few models"
    partly = "" if found.faithfulness >= FAITHFUL else "partly: it misses some models that know; "
    if found.robustness is None:
        return f"{partly}as it is; no attack was made" if partly else "yes, as it is; not attacked"
    if found.robustness >= ROBUST:
        return f"{partly}and lasts" if partly else "yes"
    weak = "training" if (found.relearning or 0.0) < (found.quantisation or 0.0) else "rounding"
    return f"{partly}only of the model as it is: a little {weak} changes what it says"


def agreement(values: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Computes Spearman's rank correlations of metrics over the same models, (metrics, metrics)."""
    return pd.DataFrame(values, dtype=float).corr(method="spearman")
