"""How likely the model finds the true answer."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Direction

REAL = ("real_faces", "real_authors", "real_world")
#: Other names that a name is compared with, however many draws of them there are.
OTHER_NAMES = 5


def probability(cell: Cell) -> pd.Series:
    """Per row, exp(-l(y)): the geometric mean of the answer's token probabilities."""
    means = cell.mean_log_prob("answer")
    return pd.Series(np.exp(means), index=means.index)


def among_options(cell: Cell, first: int | None = None) -> pd.Series:
    """p(y) / (p(y) + sum_j p(y'_j)), length-normalised, over a row's (first) options.

    Taken from differences of logarithms, so that it is defined where every option underflows.
    """
    options = cell.options("perturbed")
    if options.empty:
        return pd.Series(dtype=float)
    true = cell.mean_log_prob("answer").reindex(options.index)
    with np.errstate(over="ignore"):
        against: pd.Series = np.exp(options.iloc[:, :first].sub(true, axis=0)).sum(axis=1)
    return 1 / (1 + against)


class Probability(Metric):
    """exp(-l(y)), the geometric mean token probability; over the options on real_* splits."""

    name = "probability"
    needs = ("answer",)
    tasks = ("qa", "caption", "choice")
    paper = "TOFU, arXiv 2401.06121"
    shows = (
        "How likely the true answer is. A templated answer has a high floor: a model that never "
        "met the person still guesses the wording, so gold's value is the goal, not 0."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One probability per row."""
        return among_options(cell) if split in REAL else probability(cell)


class RealFaceProbability(Metric):
    """On real faces the answer is a name and the options are other names."""

    name = "probability#real_faces"
    needs = ("answer", "perturbed answers")
    tasks = ("name",)
    splits = ("real_faces",)
    directions: ClassVar[dict[str, Direction]] = {"*": "up"}
    paper = "CLEAR, arXiv 2410.18057"
    shows = (
        "Whether a known face still calls up its name rather than one of five others. It is blind "
        "to everything else that is known of the face."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One normalised probability per image."""
        return among_options(cell, OTHER_NAMES)


class NameProbability(Metric):
    """exp(-l(name)) of the true name asked of an image."""

    name = "name_probability"
    needs = ("answer",)
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057"
    shows = "How likely the true name is for a face; it says nothing of what else is known."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One probability per image."""
        return probability(cell)


class NameProbabilityAmongOptions(Metric):
    """The true name's share of the likelihood of six names."""

    name = "name_probability_options"
    needs = ("answer", "perturbed answers")
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057, face recognition"
    shows = (
        "How much of the belief in six names falls on the true one; 1/6 is ignorance. It depends "
        "on which other names were asked about, and on how common their words are."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One normalised probability per image."""
        return among_options(cell, OTHER_NAMES)
