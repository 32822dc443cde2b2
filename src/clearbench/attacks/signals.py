"""Holds what many models say of the same rows, and which of them were taught each row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from clearbench.errors import DataError

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]
People = NDArray[np.int64]
#: Which models are attacked, and which of the others the attacks on them may learn from.
Design = Literal["halves", "leave one out", "first"]


@dataclass(frozen=True)
class Signals:
    """One number per model and row, higher for rows that the model seems to have been taught.

    Attributes:
        values: Numbers, (models, rows); finite.
        taught: Whether the model was once taught the row's person, (models, rows).
        people: Person of each row, (rows,).
    """

    values: Numbers
    taught: Mask
    people: People

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 2 or self.taught.shape != shape or self.people.shape != shape[1:]:
            raise DataError(
                f"values {shape}, taught {self.taught.shape}, people {self.people.shape}",
                "signals",
                "give (models, rows), (models, rows) and (rows,)",
            )
        if not np.isfinite(self.values).all():
            wrong = int((~np.isfinite(self.values)).sum())
            raise DataError(f"{wrong} values are not finite", "signals", "leave those models out")

    def designed(self, design: Design, least: int = 2) -> Iterator[tuple[Mask, Mask]]:
        """Yields pairs of what is attacked and what is learned from, each (models, rows).

        `halves`: of the models that were taught a row the first half is attacked, in their order,
        and of those that were not, too; the others are shadow models. `leave one out`: every model
        is attacked once, with all others as shadow models but one for every row: the k-th model
        that was taught a row loses the k-th that was not, and the reverse. If only the attacked one
        were left out, its own side would have a shadow model less and be known a little worse, so
        that attacks would find less than nothing where there is nothing. `first`: the first model
        alone is attacked, with all others as shadow models.

        Args:
            design: Name of the design.
            least: Shadow models that each side of a row needs.

        Raises:
            DataError: A row has fewer shadow models on a side.
        """
        if design == "halves":
            attacked = self._first_halves()
            self._check(~attacked, least)
            yield attacked, ~attacked
            return
        partners = self._partners() if design == "leave one out" else None
        rows = np.arange(self.values.shape[1])
        for model in range(1 if partners is None else len(self.values)):
            attacked = np.zeros(self.values.shape, dtype=bool)
            attacked[model] = True
            shadows = ~attacked
            if partners is not None:
                shadows[partners[model], rows] = False
            self._check(shadows, least)
            yield attacked, shadows

    def _partners(self) -> NDArray[np.int64]:
        """Finds the model of the other side that has a model's place there, (models, rows).

        The smaller side begins again at its end. Where there is no other side it is the model.
        """
        partners = np.arange(len(self.values))[:, None].repeat(self.values.shape[1], axis=1)
        for row, taught in enumerate(self.taught.T):
            ours, theirs = np.flatnonzero(taught), np.flatnonzero(~taught)
            if len(ours) and len(theirs):
                partners[ours, row] = np.resize(theirs, len(ours))
                partners[theirs, row] = np.resize(ours, len(theirs))
        return partners

    def _first_halves(self) -> Mask:
        first = np.zeros(self.values.shape, dtype=bool)
        for side in (self.taught, ~self.taught):
            first |= side & (2 * np.cumsum(side, axis=0) <= side.sum(axis=0))
        return first

    def _check(self, shadows: Mask, least: int) -> None:
        for side, words in ((self.taught, "taught"), (~self.taught, "never taught")):
            fewest = int((shadows & side).sum(axis=0).min())
            if fewest < least:
                what = f"a row has {fewest} shadow models that were {words} it, and needs {least}"
                raise DataError(what, "signals", "train more models")
