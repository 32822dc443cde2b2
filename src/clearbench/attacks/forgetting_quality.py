"""Computes the forgetting quality of the NeurIPS 2023 unlearning contest from shadow models."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, NamedTuple

import numpy as np

from clearbench.attacks.base import ATTACKED, Attack, Target
from clearbench.attacks.membership import attacked_group
from clearbench.attacks.shadow import Pool, pool
from clearbench.attacks.signals import Mask, Numbers, Signals
from clearbench.errors import RecipeError
from clearbench.evaluation.description import Description
from clearbench.evaluation.intervals import mean_score
from clearbench.evaluation.metric import Collections
from clearbench.evaluation.score import Range, Score
from clearbench.libraries import pd

#: Chance that differential privacy may fail by, as in the contest.
DELTA = 1e-5
#: Width of the steps of epsilon by which a row's quality halves.
STEP = 0.5
#: Fewest models on a side: with two, no epsilon is small enough for any quality.
FEWEST = 3
#: Key of the number of shadow models on each side of a row, in both halves.
MODELS = "_models"
NUMBERS: dict[str, tuple[str, Range]] = {
    "": ("", (0.0, 1.0)),
    "_floor": (": of retraining", (0.0, 1.0)),
    "_epsilon": (": epsilon", (0.0, None)),
    "_epsilon_floor": (": epsilon of retraining", (0.0, None)),
    MODELS: (": shadow models a side", (0.0, None)),
}


class Halves(NamedTuple):
    """Epsilons of each row between halves of the models.

    Attributes:
        found: Between models that were taught the row and models that never were, of the first and
            of the second halves, (2, rows).
        floor: Between two halves of the models that never were, (1, rows).
        models: Models on each side, (rows,).
    """

    found: Numbers
    floor: Numbers
    models: Numbers


class ForgettingQuality(
    Attack,
    name="forgetting_quality",
    title="Forgetting quality of the NeurIPS 2023 contest",
    group="Membership attacks",
    needs=("records", "shadow_models"),
    reads=("answer", "holdout people", "shadow models' records"),
    paper="Triantafillou et al. 2024, arXiv 2406.09073",
    shows=(
        "How often a row's best threshold between unlearned and retrained models would still be "
        "private: 1 for rows that nobody can tell, halved for every .5 of epsilon. The largest of "
        "many thresholds is large by chance, so that retraining itself scores far below 1: read it "
        "against that floor, which stands beside it."
    ),
):
    """Mean over rows of 2^-floor(epsilon / .5), with the same of retraining against retraining.

    Epsilon is the largest, over all thresholds in both directions, of log(1 - delta - FPR) -
    log FNR and log(1 - delta - FNR) - log FPR. The contest multiplies this number by the ratios of
    retain and test accuracy to gold's, which stand among the other scores here.
    """

    least_shadows: ClassVar[int] = 2 * FEWEST

    def table(self, target: Target) -> pd.DataFrame:
        """Computes one line per row: -1 x its epsilon between all models of both sides."""
        given = target.collections
        if not given.shadows:
            raise RecipeError(
                f"{self.name} needs shadow models",
                "attack",
                "give records of models taught other people, and whom each was taught",
            )
        return ATTACKED.frame(
            (*group.key, group.people[row], row, self.score_key, -value)
            for track in given.tracks
            if (made := pool(given, track, "logit")) is not None
            for (row, split), value in _of_all(made).items()
            if (group := attacked_group(given.model, split, track)) is not None
        )

    def scores(self, collections: Collections, track: str) -> dict[str, Score]:
        """Computes quality and epsilon with their floors; none of models made like another."""
        made = None if collections.borrowed else pool(collections, track, "logit")
        if made is None:
            return {}
        signals = made.of_shadows()
        halves = in_halves(signals)
        kept = halves.models >= FEWEST
        if not kept.any():
            return {}
        index = pd.Index(made.rows)[kept]
        people = dict(zip(made.rows, signals.people.tolist(), strict=True))
        models = halves.models[kept]
        parts = {"": halves.found[:, kept], "_floor": halves.floor[:, kept]}
        numbers = {name: qualities(values, models) for name, values in parts.items()}
        numbers |= {f"_epsilon{name}": capped(part, models) for name, part in parts.items()}
        numbers[MODELS] = np.broadcast_to(2.0 * models, (1, len(models)))
        return {
            f"forget.{track}.{self.score_key}{name}": mean_score(
                pd.Series(values.mean(axis=0), index=index),
                people,
                self.direction("forget"),
                self.version,
                NUMBERS[name][1],
            )
            for name, values in numbers.items()
        }

    def numbers(self) -> dict[str, Description]:
        """Describes quality, epsilon and their floors, by the last part of their keys."""
        whole = self.description
        return {
            f"{self.score_key}{name}": replace(
                whole, key=f"{self.score_key}{name}", title=f"{whole.title}{title}", range=bounds
            )
            for name, (title, bounds) in NUMBERS.items()
        }


def _of_all(made: Pool) -> dict[tuple[str, str], float]:
    """Computes the epsilon between all models of both sides, by row and split."""
    signals, found = made.of_shadows(), {}
    for place, key in enumerate(zip(made.rows, made.splits.tolist(), strict=True)):
        taught, values = signals.taught[:, place], signals.values[:, place]
        fewest = np.array(min(taught.sum(), (~taught).sum()), dtype=float)
        if fewest:
            found[key] = float(capped(np.array(epsilon(values[taught], values[~taught])), fewest))
    return found


def epsilon(
    unlearned: Numbers, retrained: Numbers, *, reverse: bool = True, delta: float = DELTA
) -> float:
    """Computes the largest epsilon over all thresholds between the signals of two sides.

    A threshold with errors of one kind only says nothing from a finite sample and is left out, one
    with none at all is infinite; all others count.

    Args:
        unlearned: Signals of one side, (models,).
        retrained: Signals of the other, (other models,).
        reverse: Whether signals below a threshold may mean `unlearned`, too.
        delta: Chance that may be excepted.

    Returns:
        Epsilon, at least 0; infinite where a threshold makes no error.
    """
    thresholds = np.concatenate([unlearned, retrained])
    below = np.searchsorted(np.sort(retrained), thresholds, side="right")
    missed = np.searchsorted(np.sort(unlearned), thresholds, side="right") / len(unlearned)
    false = 1 - below / len(retrained)
    found = _largest(false, missed, delta)
    if reverse:
        found = max(found, _largest(1 - false, 1 - missed, delta))
    return max(found, 0.0)


def _largest(false: Numbers, missed: Numbers, delta: float) -> float:
    if ((false <= 0) & (missed <= 0)).any():
        return float("inf")
    kept = (false > 0) & (missed > 0)
    terms = [
        np.log(1 - delta - one[fine]) - np.log(other[fine])
        for one, other in ((false, missed), (missed, false))
        if (fine := kept & (one < 1 - delta)).any()
    ]
    return max((float(term.max()) for term in terms), default=0.0)


def qualities(epsilons: Numbers, models: Numbers) -> Numbers:
    """Computes 2^-floor(epsilon / .5) of epsilons, and 0 from ceil(ln(models - 1)) on."""
    steps = np.floor(np.maximum(epsilons, 0) / STEP)
    limits = np.ceil(np.log(models - 1))
    return np.where(epsilons < limits, 2.0**-steps, 0.0)


def capped(epsilons: Numbers, models: Numbers) -> Numbers:
    """Cuts epsilons at ln(models + 1): more cannot be seen in so many."""
    cut: Numbers = np.minimum(np.maximum(epsilons, 0), np.log(models + 1))
    return cut


def in_halves(signals: Signals) -> Halves:
    """Computes epsilons between halves of the models, so that they compare with their floor.

    The models of each side of a row are halved in their order; an epsilon is large by chance the
    more, the fewer models there are, so all sides have the same number.

    Args:
        signals: Signals of shadow models.
    """
    rows = range(signals.values.shape[1])
    counts = np.minimum(signals.taught.sum(axis=0), (~signals.taught).sum(axis=0)) // 2
    found, floor = np.zeros((2, len(rows))), np.zeros((1, len(rows)))
    for row in rows:
        size = int(counts[row])
        if size >= FEWEST:
            taught, never = (_split(signals, side, row, size) for side in (True, False))
            found[:, row] = [epsilon(taught[half], never[half]) for half in (0, 1)]
            floor[:, row] = epsilon(never[0], never[1])
    return Halves(found, floor, counts.astype(float))


def _split(signals: Signals, taught: bool, row: int, size: int) -> tuple[Numbers, Numbers]:
    side: Mask = signals.taught[:, row] == taught
    values = signals.values[side, row]
    return values[:size], values[size : 2 * size]
