"""Ends the forgetting of a track once its answers are about as unlikely as strangers' are.

How fast a model forgets depends on the people and the seed; a number of steps that is right for one
is too few or too many for another, and what is forgotten further than gold turns to garbage. People
whom the model has never met show how likely a true answer is to somebody who does not know, without
a gold model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

import numpy as np

from clearbench.batches.items import Item, item
from clearbench.data.example import Example
from clearbench.data.modality import modality
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.stages import Train
from clearbench.methods.step import Step
from clearbench.models.base import Model
from clearbench.training.roles import DERIVED
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import Until

#: Steps between two measurements, and rows measured on each track.
EVERY, ROWS = 3, 32
#: The step at which each forgotten track was measured as forgotten.
Reached = dict[str, int]


class Goal:
    """Measures whether the answers to forget have become as unlikely as asked, per track.

    On each track the mean answer probability should fall from where it is at the start to where it
    is on strangers, by the share of the way that `until` names. A goal holds nothing that changes
    during a run: what has been reached is kept in `Progress` and saved with it.

    Args:
        rows: Training rows, of which forget rows and strangers' rows are sampled.
        until: Shares and steps of repair from the settings.
    """

    def __init__(self, rows: TrainingRows, until: Until) -> None:
        self._model = rows.model
        self._items: dict[str, list[Item]] = {}
        self._most: dict[str, float] = {}
        self._tracks = rows.readable_tracks
        self._repair = until.repair
        for track in self._tracks:
            share = until.shares[track]
            if share is None:
                continue
            known = _sample(known_answers(rows, track), rows.seed)
            unknown = _sample(strange_answers(rows, track), rows.seed)
            start, end = (probability(self._model, items) for items in (known, unknown))
            self._items[track] = known
            self._most[track] = start + share * (end - start)

    def note_reached(self, step: int, reached: Reached) -> None:
        """Adds the tracks forgotten by now to `reached`, every few steps; none is removed."""
        if step % EVERY:
            return
        for track, items in self._items.items():
            if track not in reached and probability(self._model, items) <= self._most[track]:
                reached[track] = step

    def is_over(self, step: int, reached: Reached) -> bool:
        """Whether every track is forgotten and the steps of repair after it are done."""
        return self._is_reached(reached) and step - max(reached.values()) >= self._repair

    def narrow(
        self, stage: Train, drawn: Mapping[str, list[Item]], reached: Reached
    ) -> tuple[Train, Mapping[str, list[Item]]]:
        """Removes a step's rows of forgotten tracks; only repair is left when all are forgotten."""
        if self._is_reached(reached):
            return REPAIR, drawn
        kept = [forget_item.track not in reached for forget_item in drawn["forget"]]
        return stage, {
            role: [*compress(items, kept)] if role in ("forget", *DERIVED) else items
            for role, items in drawn.items()
        }

    def _is_reached(self, reached: Reached) -> bool:
        return reached.keys() >= {*self._tracks}


def _repair(step: Step) -> dict[str, Term]:
    return {"retain": cross_entropy(step.model.answers(step.retain))}


#: What is trained once nothing is left to forget: retain fine-tuning.
REPAIR = Train(_repair, needs=("retain",))


def known_answers(rows: TrainingRows, track: str) -> list[Item]:
    """Selects questions or captions about the forgotten people that the model can read."""
    return _answers(rows.dataset.train_rows("forget", (track,)), rows.model)


def strange_answers(rows: TrainingRows, track: str) -> list[Item]:
    """Selects questions or captions about people whom the model was never taught."""
    holdout = rows.dataset.evaluation.get("holdout", ())
    return _answers([row for row in holdout if row.track == track], rows.model)


def _answers(rows: Sequence[Example], model: Model) -> list[Item]:
    items = [item(row) for row in rows if row.task == modality(row.track).main_task]
    return [answer for answer in items if model.accepts(answer)]


def _sample(items: Sequence[Item], seed: int) -> list[Item]:
    order = np.random.default_rng([seed, 5]).permutation(len(items))[:ROWS]
    return [items[place] for place in sorted(order)]


def probability(model: Model, items: Sequence[Item]) -> float:
    """The mean over items of the geometric mean token probability of the answer."""
    with model.measured():
        readings = model.score_items(items).values()
    return float(
        np.mean([np.exp(reading.log_probs.mean(dtype=np.float64)) for reading in readings])
    )
