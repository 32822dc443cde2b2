"""Computes the verdict on a run, from its scores, gold's and the original's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from clearbench.data.modality import modalities, parse_modalities, readable_by

MOST_GARBAGE = 0.1
#: Smallest gap between original and gold that distances are divided by; smaller ones are noise.
LEAST_GAP = 0.01

Scores = Mapping[str, float]


class Verdict(BaseModel):
    """Findings about one run, compared with gold and original.

    Attributes:
        nearer_to_gold: Judged scores, with True for those nearer to gold than to original.
        overshoot: Judged scores, with True for those past gold by more than half the gap.
        garbage_ok: True if fewer than one answer in ten on the judged tracks is garbage.
        kept: Ratio to the original's of each score that must survive.
        missing: Scores that the verdict needs and does not have.
        distance: Mean distance to gold over the judged scores: 0 is gold, 1 is the original.
        null_distance: The same with the largest gaps between golds of different seeds in place of
            the run's; None with one gold.
        indistinguishable: Judged scores with a null band, with True for those inside: as near
            to gold as retraining with another seed.
        passed: True if it is nearer to gold everywhere, no garbage, everything kept, none missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nearer_to_gold: dict[str, bool]
    overshoot: dict[str, bool]
    garbage_ok: bool
    kept: dict[str, float]
    missing: tuple[str, ...]
    distance: float | None
    null_distance: float | None = None
    indistinguishable: dict[str, bool] = Field(default_factory=dict)
    passed: bool

    @property
    def damaged(self) -> tuple[str, ...]:
        """Scores that did not survive."""
        return _damaged(self.kept)


def judged_keys(modality: str, model: str) -> tuple[str, ...]:
    """Lists the scores that a run is judged on.

    Args:
        modality: Modality that it was to forget: `text`, `image` or `both`.
        model: Kind of model: `language`, `vision-language` or `classifier`.
    """
    able = readable_by(model)
    names = [name for name in parse_modalities(modality) if name in able] or able
    return tuple(key for name in names for key in modalities()[name].judged_keys(model))


def must_keep(model: str) -> dict[str, float]:
    """Maps what a model of this kind must keep to the least share of the original's score."""
    return {k: v for name in modalities().values() for k, v in name.kept_shares(model).items()}


def judge(
    scores: Scores,
    gold_scores: Scores,
    original_scores: Scores,
    modality: str,
    model: str,
    null_gaps: Scores | None = None,
) -> Verdict:
    """Judges one run. Nothing is raised for a missing score: it is named, and the run fails.

    Args:
        scores: Scores of the run by key.
        gold_scores: Scores of the model that was never trained on the forgotten people.
        original_scores: Scores of the model before unlearning.
        modality: Modality that the run was to forget: `text`, `image` or `both`.
        model: Kind of model: `language`, `vision-language` or `classifier`.
        null_gaps: Largest distance between two golds by key, where there are several.
    """
    run, gold, original = (_finite(values) for values in (scores, gold_scores, original_scores))
    gaps = null_gaps or {}
    judged = judged_keys(modality, model)
    garbage = () if model == "classifier" else _garbage_keys(judged)
    known = [key for key in judged if key in run and key in gold and key in original]
    keep = [key for key in must_keep(model) if key in original]
    missing = (
        *(key for key in judged if key not in known),
        *(key for key in (*garbage, *keep) if key not in run),
    )
    nearer = {key: abs(run[key] - gold[key]) < abs(run[key] - original[key]) for key in known}
    kept = {key: _ratio(run[key], original[key]) for key in keep if key in run}
    garbage_ok = all(run.get(key, 0.0) < MOST_GARBAGE for key in garbage)
    survived = not _damaged(kept)
    banded = [key for key in known if key in gaps]
    return Verdict(
        nearer_to_gold=nearer,
        overshoot={key: _overshoots(run[key], gold[key], original[key]) for key in known},
        garbage_ok=garbage_ok,
        kept=kept,
        missing=missing,
        distance=_mean(_distance(run[key] - gold[key], gold[key], original[key]) for key in known),
        null_distance=_mean(_distance(gaps[key], gold[key], original[key]) for key in banded),
        indistinguishable={key: abs(run[key] - gold[key]) <= gaps[key] for key in banded},
        passed=not missing and all(nearer.values()) and garbage_ok and survived,
    )


def _damaged(kept: Scores) -> tuple[str, ...]:
    least = must_keep("classifier") | must_keep("vision-language")
    return tuple(key for key, ratio in kept.items() if ratio < least[key])


def _finite(scores: Scores) -> dict[str, float]:
    return {key: value for key, value in scores.items() if math.isfinite(value)}


def _garbage_keys(judged: tuple[str, ...]) -> tuple[str, ...]:
    tracks = dict.fromkeys(key.rsplit(".", 1)[0] for key in judged)
    return tuple(f"{track}.garbage_rate" for track in tracks)


def _ratio(value: float, original: float) -> float:
    """Computes a score's ratio to the original's; an original of 0 loses nothing."""
    return value / original if original > 0 else 1.0


def _distance(gap: float, gold: float, original: float) -> float:
    return abs(gap) / max(abs(original - gold), LEAST_GAP)


def _mean(numbers: Iterable[float]) -> float | None:
    known = list(numbers)
    return sum(known) / len(known) if known else None


def _overshoots(value: float, gold: float, original: float) -> bool:
    gap = gold - original
    return abs(gap) >= LEAST_GAP and (value - gold) / gap > 0.5
