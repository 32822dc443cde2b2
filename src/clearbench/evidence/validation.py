"""Measures a trial on the people on whom a schedule is chosen: what is left, kept and garbled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clearbench.audit.contexts import Said
from clearbench.audit.fluency import Fluency
from clearbench.batches.items import Item, item
from clearbench.data.example import Example
from clearbench.evaluation.metrics.outputs import kind_of_output
from clearbench.evidence.division import Division
from clearbench.evidence.floors import Floor, log_probs
from clearbench.models.base import Model

#: Answers that are generated in a trial, and their most tokens.
_SAID, _TOKENS = 16, 40


@dataclass(frozen=True)
class Validation:
    """Validation rows, and what they are to the model before unlearning.

    Attributes:
        model: Model before unlearning.
        division: Rows on which the schedule is chosen.
        floors: Floor by modality.
        fluency: What fluent answers look like to it; None for models that write no words.
    """

    model: Model
    division: Division
    floors: Mapping[str, Floor]
    fluency: Fluency | None

    @cached_property
    def _forget(self) -> list[Item]:
        return [item(row) for row in self.division.forget]

    @cached_property
    def _retain(self) -> list[Item]:
        return [item(row) for row in self.division.retain]

    @cached_property
    def said_before(self) -> dict[str, str]:
        """Answers before unlearning, by row."""
        return self.said(self.model)

    @cached_property
    def _before(self) -> list[float]:
        return log_probs(self.model, self._forget)

    @cached_property
    def _kept_before(self) -> float:
        return float(np.exp(log_probs(self.model, self._retain)).mean())

    def said(self, model: Model) -> dict[str, str]:
        """Generates answers to some of the questions about the people to forget, by row."""
        some = self._forget[:: max(1, len(self._forget) // _SAID)]
        with model.measured():
            texts = model.generate(some, _TOKENS)
        return {each.row: text for each, text in zip(some, texts, strict=True)}

    def place(self, model: Model) -> float | None:
        """Computes the mean place between the floor and before, over modalities."""
        now, rows = log_probs(model, self._forget), self.division.forget
        places = [
            place_of(*(float(np.mean(values)) for values in zip(*lines, strict=True)))
            for lines in _by_track(rows, self._before, now, self.floors)
        ]
        known = [place for place in places if place is not None]
        return float(np.mean(known)) if known else None

    def kept(self, model: Model) -> float | None:
        """Computes the share of probability that answers about those who stay have kept."""
        if not self._retain:
            return None
        return float(np.exp(log_probs(model, self._retain)).mean()) / max(self._kept_before, 1e-12)

    def garbled(self, model: Model) -> float:
        """Computes the rise of the share of garbled answers about the people to forget."""
        return self._share_garbled(self.said(model)) - self._garbled_before

    @cached_property
    def _garbled_before(self) -> float:
        return self._share_garbled(self.said_before)

    def _share_garbled(self, said: Mapping[str, str]) -> float:
        return len(self.garbled_rows(said)) / len(said) if said else 0.0

    def garbled_rows(self, said: Mapping[str, str]) -> set[str]:
        """Lists the rows whose answers are garbled, as they are counted in the report."""
        rows = {row.id: row for row in self.division.forget}
        answers = [Said(rows[row], text) for row, text in said.items()]
        if self.fluency is None:
            kinds = (kind_of_output(each.text, truth=each.row.answer) for each in answers)
            found = [kind == "garbage" for kind in kinds]
        else:
            found = self.fluency.garbled(answers)
        return {each.row.id for each, garbled in zip(answers, found, strict=True) if garbled}


def place_of(before: float, now: float, floor: float) -> float | None:
    """Computes (now - floor) / (before - floor); None where the model knew no more than the floor.

    Args:
        before: Mean log-probability per token before unlearning, in nats.
        now: The same after it.
        floor: The same of what nobody was taught.
    """
    return (now - floor) / (before - floor) if before - floor > math.log(1.1) else None


def _by_track(
    rows: Sequence[Example],
    before: Sequence[float],
    now: Sequence[float],
    floors: Mapping[str, Floor],
) -> Iterator[list[tuple[float, float, float]]]:
    for track, floor in floors.items():
        lines = [
            (first, last, floor.of(row))
            for row, first, last in zip(rows, before, now, strict=True)
            if row.track == track
        ]
        if lines:
            yield lines
