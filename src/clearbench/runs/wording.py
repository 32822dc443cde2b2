"""Words the methods and the scores of a run by their classes: titles and explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from clearbench.attacks.base import attack
from clearbench.attacks.scoring import descriptions
from clearbench.errors import RecipeError
from clearbench.evaluation.description import Description
from clearbench.evaluation.metric import Comparison, Metric, metric
from clearbench.methods.base import METHODS
from clearbench.runs.schema import Results, WordedMethod, Wording


def wording(results: Results) -> Wording:
    """Collects the words of every method of a run, and of every score that it can have.

    What plugins define that are not loaded has none.
    """
    known = {row.method: METHODS[row.method] for row in results.rows if row.method in METHODS}
    return Wording(
        methods={
            name: WordedMethod(title=cls.title(), retrains=cls.from_base)
            for name, cls in sorted(known.items())
        },
        scores=_descriptions(results),
    )


def _descriptions(results: Results) -> dict[str, Description]:
    """Collects the descriptions of scores by the last part of their keys."""
    evaluation = results.recipe.evaluation
    entries = (evaluation.model_extra or {}).get("metrics", ())
    known = descriptions(evaluation.protocol, tuple(_loaded(entries)))
    for entry in (results.recipe.model_extra or {}).get("attacks", ()):
        with suppress(RecipeError):  # of a plugin that is not loaded
            known |= attack(entry["attack"], **entry.get("parameters", {})).numbers()
    return dict(sorted(known.items()))


def _loaded(entries: Iterable[Mapping[str, Any]]) -> Iterator[Metric | Comparison]:
    for entry in entries:
        with suppress(RecipeError):
            yield metric(**entry)
