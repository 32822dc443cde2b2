"""Computes the probability of the true answer, alone or as a share among wrong answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.tables import GroupKey
from clearbench.libraries import pd

REAL = ("real_faces", "real_authors", "real_world")
#: Number of other names that a name is compared with, however many were measured.
OTHER_NAMES = 5
#: Constant that OpenUnlearning adds to denominators (errata E113: it decides tiny probabilities).
ADDED = 1e-10
#: The publication of OpenUnlearning's forms.
OPEN_PAPER = "OpenUnlearning, arXiv 2506.12618, src/evals/metrics/memorization.py"


def probability(group: RecordGroup) -> pd.Series:
    """Computes exp(-l(y)) per row: the geometric mean of the answer's token probabilities."""
    means = group.mean_log_prob("answer")
    return pd.Series(np.exp(means), index=means.index)


def among_options(group: RecordGroup, first: int | None = None) -> pd.Series:
    """Computes p(y) / (p(y) + sum_j p(y'_j)), length-normalised, over a row's (first) options.

    Computed from differences of logarithms, so that it is defined where every option underflows.
    """
    options = group.options("perturbed")
    if options.empty:
        return pd.Series(dtype=float)
    true = group.mean_log_prob("answer").reindex(options.index)
    with np.errstate(over="ignore"):
        against: pd.Series = np.exp(options.iloc[:, :first].sub(true, axis=0)).sum(axis=1)
    return 1 / (1 + against)


def _among_options_open(group: RecordGroup) -> pd.Series:
    """Computes p(y) / (p(y) + sum_j p(y'_j) + 1e-10)."""
    options = group.options("perturbed")
    wrong = pd.Series(np.exp(options).sum(axis=1), index=options.index)
    true = probability(group).reindex(options.index)
    return true / (true + wrong + ADDED)


class Probability(
    Metric,
    name="probability",
    group="Likelihood of the answer",
    needs=("answer", "perturbed answers on real_* splits"),
    paper="TOFU, arXiv 2401.06121; real faces: CLEAR, arXiv 2410.18057",
    shows=(
        "How likely the true answer is. A templated answer has a high floor: a model that never "
        "met the person still guesses the wording, so gold's value is the goal, not 0. On real "
        "faces it is the share of the true name among six, blind to all else that is known."
    ),
):
    """exp(-l(y)), the geometric mean token probability; over the options on real_* splits.

    Attributes:
        denominator: `open` adds 1e-10 as OpenUnlearning does.
        faces: Inclusion of real faces, whose answer is a name.
    """

    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption", "choice")
    unnamed: ClassVar[tuple[str, ...]] = ("faces",)
    cases: ClassVar[Mapping[str, Case]] = {
        "open": Case(
            title="OpenUnlearning",
            erratum="E113",
            paper=OPEN_PAPER,
            shows="OpenUnlearning's probability; see `probability` for what it shows.",
        )
    }

    denominator: Literal["exact", "open"] = "exact"
    faces: bool = True

    def applies(self, key: GroupKey) -> bool:
        """Whether the rows are answers, or names of real faces."""
        named = self.faces and (key.split, key.task) == ("real_faces", "name")
        return named or super().applies(key)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one probability per row."""
        if group.key.split not in REAL:
            return probability(group)
        if self.denominator == "open":
            return _among_options_open(group)
        return among_options(group, OTHER_NAMES if group.key.task == "name" else None)


class NameProbability(
    Metric,
    name="name_probability",
    group="Names and faces",
    needs=("answer", "perturbed answers where it is among options"),
    paper="CLEAR, arXiv 2410.18057",
    shows="How likely the true name is for a face; it says nothing of what else is known.",
):
    """exp(-l(name)) of the true name asked of an image.

    Attributes:
        options: True for the true name's share of the likelihood of six names.
    """

    tasks: ClassVar[tuple[str, ...]] = ("name",)
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"options": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "options": Case(
            title="among six names",
            paper="CLEAR, arXiv 2410.18057, face recognition",
            shows=(
                "How much of the belief in six names falls on the true one; 1/6 is ignorance. It "
                "depends on which other names were asked about, and on how common their words are."
            ),
        )
    }

    options: bool = False

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes one probability per image."""
        return among_options(group, OTHER_NAMES) if self.options else probability(group)
