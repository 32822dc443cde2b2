"""How likely the model finds the true answer."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell
from clearbench.evaluation.score import Direction

REAL = ("real_faces", "real_authors", "real_world")


def _probability(cell: Cell) -> pd.Series:
    means = cell.mean_log_prob("answer")
    return pd.Series(np.exp(means), index=means.index)


def _among_options(cell: Cell) -> pd.Series:
    """p(y) / (p(y) + sum_j p(y'_j)), length-normalised, over a row's first five options."""
    options = cell.options("perturbed")
    if options.empty:
        return pd.Series(dtype=float)
    true = _probability(cell).loc[options.index]
    wrong: pd.Series = np.exp(options.iloc[:, :5]).sum(axis=1)
    return true / (true + wrong)


class Probability(Metric):
    """exp(-l(y)), the geometric mean token probability; over the options on real_* splits."""

    name = "probability"
    tasks = ("qa", "caption", "choice")
    paper = "TOFU, arXiv 2401.06121"
    shows = (
        "How likely the true answer is. A templated answer has a high floor: a model that never "
        "met the person still guesses the wording, so gold's value is the goal, not 0."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One probability per row."""
        return _among_options(cell) if split in REAL else _probability(cell)


class RealFaceProbability(Metric):
    """On real faces the answer is a name and the options are other names."""

    name = "probability#real_faces"
    tasks = ("name",)
    splits = ("real_faces",)
    directions: ClassVar[dict[str, Direction]] = {"*": "up"}
    paper = "CLEAR, arXiv 2410.18057"
    shows = "Whether a known face still calls up its name rather than one of five others."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One normalised probability per picture."""
        return _among_options(cell)


class NameProbability(Metric):
    """exp(-l(name)) of the true name asked of a picture."""

    name = "name_probability"
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057"
    shows = "How likely the true name is for a face; it says nothing of what else is known."

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """One probability per picture."""
        return _probability(cell)
