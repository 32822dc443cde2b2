"""Computes how much of the true answer the model would generate, token by token.

The end token is left out, as OpenUnlearning leaves it out (errata E112: the end of an answer); so
answers of one token have no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Metric
from clearbench.libraries import pd

NEEDS = ("first choice per token",)


def _hits(group: RecordGroup) -> dict[str, NDArray[np.bool_]]:
    """Returns, per row, whether each token but the last is the model's first choice."""
    tokens = group.tokens("hits")
    return {row: hits[:-1].astype(bool) for row, hits in tokens.items() if len(hits) > 1}


def right_end(hits: NDArray[np.bool_]) -> int:
    """Counts the tokens at the end that are right without a break."""
    wrong = np.flatnonzero(~hits)
    return len(hits) - 1 - int(wrong[-1]) if len(wrong) else len(hits)


class ExactMemorisation(
    Metric,
    name="exact_memorisation",
    group="Memorisation",
    needs=NEEDS,
    paper="OpenUnlearning, arXiv 2506.12618",
    shows=(
        "How much of the answer the model would say when led through it. Words that any sentence "
        "has count too, so a model that never met the person is far above 0."
    ),
):
    """Share of the answer's tokens that are the model's first choice."""

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes the share per row."""
        return pd.Series({row: hits.mean() for row, hits in _hits(group).items()}, dtype=float)


class ExtractionStrength(
    Metric,
    name="extraction_strength",
    group="Memorisation",
    needs=NEEDS,
    paper="Carlini et al. 2021; OpenUnlearning, arXiv 2506.12618",
    shows=(
        "How little of the answer must be given away for the rest to come out: the best cheap "
        "single number in OpenUnlearning's meta-evaluation. A short answer ends right by luck."
    ),
):
    """1 - k/N, where k tokens must be given before the model generates the rest by itself.

    Attributes:
        floor: True for a value never under 1/N, as OpenUnlearning computes it.
    """

    cases: ClassVar[Mapping[str, Case]] = {
        "floor": Case(
            erratum="E101",
            paper="OpenUnlearning, src/evals/metrics/memorization.py",
            shows=(
                "Extraction strength where a model that says nothing right scores 1/N. For "
                "comparison with OpenUnlearning's tables only."
            ),
        )
    }

    floor: bool = False

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes the strength per row."""
        strengths = {
            row: max(right_end(hits), int(self.floor)) / len(hits)
            for row, hits in _hits(group).items()
        }
        return pd.Series(strengths, dtype=float)
