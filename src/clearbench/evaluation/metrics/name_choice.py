"""Counts how often the true name of a face is likelier per token than five other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Metric
from clearbench.libraries import pd

PER_DRAW = 5


class NameChoice(
    Metric,
    name="name_choice",
    group="Names and faces",
    needs=("answer", "perturbed answers, or names of retained people"),
    paper="CLEAR, arXiv 2410.18057 (perturbed_names); fresh names: docs/demo-world.md",
    shows=(
        "Whether the model prefers the right name when it is shown the face. The other names were "
        "never taught, so that only knowledge of the face favours the true one: gold is near 1/6."
    ),
):
    """Share of draws of five fresh names in which the true name is the likeliest; chance is 1/6.

    Attributes:
        known: True for names of five retained people as the others, in one draw.
    """

    tasks: ClassVar[tuple[str, ...]] = ("name",)
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"known": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "known": Case(
            title="among known names",
            paper="this project: docs/demo-world.md",
            shows=(
                "Whether a face calls up its name among names the model knows. Gold prefers any "
                "known name to one it never met, so its value is near 0, not 1/6."
            ),
        )
    }

    known: bool = False

    def _options(self, group: RecordGroup) -> pd.DataFrame:
        return group.options("known" if self.known else "perturbed")

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes the share of draws won, per image."""
        options = self._options(group)
        if options.empty:
            return pd.Series(dtype=float)
        true = group.mean_log_prob("answer").loc[options.index]
        draws = [options.iloc[:, k : k + PER_DRAW] for k in range(0, options.shape[1], PER_DRAW)]
        won = [(draw.max(axis=1) < true).astype(float) for draw in draws]
        return pd.concat(won, axis=1).mean(axis=1)

    def chance(self, group: RecordGroup) -> float | None:
        """Computes one over the names of a draw and the true one; None among known names."""
        if self.known:
            return None
        return 1 / (1 + min(PER_DRAW, self._options(group).shape[1]))
