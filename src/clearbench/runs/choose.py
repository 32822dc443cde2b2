"""Chooses settings on the validation fold: the best run of every method and modality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clearbench.errors import RecipeError
from clearbench.evaluation.verdict.verdict import Verdict
from clearbench.runs.schema import AnyRow, read_results

#: Weight of a missing percent of what should be kept, relative to the distance to gold.
DAMAGE_WEIGHT = 2.0
#: Distance to gold from which a run has not begun to forget, and no setting is chosen over others.
LEAST_FORGOTTEN = 0.75
_RANKS = {"forgot": 0, "undecided": 1, "did not": 2}


def shortfall(verdict: Verdict) -> float:
    """Computes the distance to gold plus twice the mean loss of what must survive.

    It is 0 for gold, 1 for the original, and infinite where no distance was measured.
    """
    if verdict.distance is None:
        return math.inf
    damage = sum(max(0.0, 1 - kept) for kept in verdict.kept.values())
    damage /= max(1, len(verdict.kept))
    return verdict.distance + DAMAGE_WEIGHT * damage


def badness(row: AnyRow) -> tuple[bool, int, float]:
    """Computes a sort key: what forgets at all, then the word, then the shortfall."""
    verdict = row.verdict
    if not row.ok or verdict is None or verdict.distance is None:
        return True, len(_RANKS), math.inf
    nothing = verdict.distance > LEAST_FORGOTTEN
    return nothing, _RANKS[verdict.word], shortfall(verdict)


def best_runs(folder: Path) -> list[AnyRow]:
    """Chooses the best row of a search per model, method, modality and trained parts.

    Where the search ran with several seeds, rows are those over the seeds.

    Raises:
        RecipeError: The run was not on the validation fold.
    """
    results = read_results(folder)
    if results.recipe.data.fold != "validation":
        raise RecipeError(
            "settings are chosen on the validation fold, never on the reported people",
            str(folder),
            "run the search with data.fold=validation",
        )
    best: dict[tuple[str, ...], AnyRow] = {}
    for row in results.combined or results.rows:
        if row.is_anchor:
            continue
        vision = "vision" in row.variant.parts and row.model != "classifier"
        key = (row.model, row.modality, row.method, str(vision))
        if key not in best or badness(row) < badness(best[key]):
            best[key] = row
    return [best[key] for key in sorted(best)]


def as_recipe_runs(rows: Sequence[AnyRow]) -> list[dict[str, Any]]:
    """Writes rows in the form of a recipe's `runs`, without settings that are the default."""
    return [
        {
            "method": row.method,
            "model": row.model,
            "modality": row.modality,
            "hyperparameters": row.hyperparameters,
            "train": row.training.model_dump(mode="json", exclude_defaults=True),
        }
        for row in rows
    ]
