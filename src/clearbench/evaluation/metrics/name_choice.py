"""Whose face is this? The true name against five others, by likelihood."""

from __future__ import annotations

import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell

PER_DRAW = 5


def _wins(cell: Cell, prefix: str) -> pd.Series:
    """Per image, the share of draws in which the true name is the likeliest of six."""
    options = cell.options(prefix)
    if options.empty:
        return pd.Series(dtype=float)
    true = cell.mean_log_prob("answer").loc[options.index]
    draws = [options.iloc[:, k : k + PER_DRAW] for k in range(0, options.shape[1], PER_DRAW)]
    won = [(draw.max(axis=1) < true).astype(float) for draw in draws]
    return pd.concat(won, axis=1).mean(axis=1)


class NameChoice(Metric):
    """Against names that nobody bears, four draws of five: chance is 1/6."""

    name = "name_choice"
    needs = ("answer", "perturbed answers")
    tasks = ("name",)
    paper = "CLEAR, arXiv 2410.18057 (perturbed_names); fresh names: docs/demo-world.md"
    shows = (
        "Whether a face calls up its name. Fresh names leave nothing to prefer but the truth, so "
        "gold stands near 1/6."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """Share of draws won, per image."""
        return _wins(cell, "perturbed")

    @classmethod
    def chance(cls, cell: Cell) -> float:
        """One of a draw's names and the true one."""
        return 1 / (1 + min(PER_DRAW, cell.options("perturbed").shape[1]))


class NameChoiceKnown(Metric):
    """Against the names of five retained people."""

    name = "name_choice_known"
    needs = ("answer", "names of retained people")
    tasks = ("name",)
    shows = (
        "Whether a face calls up its name among names the model knows. Gold prefers any known name "
        "to one it never met, so its value is near 0, not 1/6."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """1 or 0 per image."""
        return _wins(cell, "known")
