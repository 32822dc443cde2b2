"""Stop forgetting a track once the model knows its people no better than it knows strangers.

How fast a model forgets depends on the people and the seed; a number of steps that is right for one
is too few or too many for another, and what is forgotten further than gold turns to garbage. People
whom the model has never met show how likely a true answer is to somebody who does not know, without
a gold model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from clearbench.data.batches import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example, Track
from clearbench.errors import RecipeError
from clearbench.methods.base import Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.models.base import Model
from clearbench.training.settings import Until

#: Steps between two looks, and rows looked at on each track.
EVERY, ROWS = 3, 32
REACHED, REPAIRED = "goal.reached", "goal.repaired"


class Goal:
    """How likely forgotten answers may still be, per track.

    On each track the mean answer probability should fall from where it is at the start to where it
    is on strangers, by the share of the way that `until` names.
    """

    def __init__(
        self, model: Model, dataset: Dataset, tracks: Sequence[Track], until: Until, seed: int
    ) -> None:
        self._items: dict[Track, list[Item]] = {}
        self._most: dict[Track, float] = {}
        shares = until.model_dump()
        for track in tracks:
            if shares[track] is None:
                continue
            known = _sample(dataset.train_rows("forget", (track,)), model, seed)
            strangers = _sample(dataset.evaluation.get("holdout", ()), model, seed, track)
            if not strangers:
                raise RecipeError(
                    f"`until` needs people the model has never met, and there are none on {track}",
                    "train.until",
                    "give strangers (the holdout split), or leave `until` out",
                )
            start, end = probability(model, known), probability(model, strangers)
            self._items[track] = known
            self._most[track] = start + shares[track] * (end - start)
        self.tracks = tuple(tracks)
        self.repair = until.repair

    def look(self, model: Model, step: int, state: dict[str, Tensor]) -> None:
        """Every few steps, notes in `state` which tracks have been forgotten; they stay so."""
        found = state.setdefault(REACHED, torch.zeros(len(self.tracks), dtype=torch.bool))
        repaired = state.setdefault(REPAIRED, torch.zeros((), dtype=torch.long))
        if found.all():
            repaired += 1
        if step % EVERY or found.all():
            return
        model.train(False)
        for place, track in enumerate(self.tracks):
            if track in self._items and not found[place]:
                found[place] = probability(model, self._items[track]) <= self._most[track]
        model.train(True)

    def left(self, state: Mapping[str, Tensor]) -> set[Track]:
        """Tracks that still have to be forgotten."""
        return {track for track, done in zip(self.tracks, state[REACHED], strict=True) if not done}

    def is_over(self, state: Mapping[str, Tensor]) -> bool:
        """Whether everything has been forgotten and what was harmed has been repaired."""
        return not self.left(state) and int(state[REPAIRED]) >= self.repair


def repairing(step: Step) -> dict[str, Term]:
    """The loss once nothing is left to forget: retain fine-tuning."""
    return {"retain": cross_entropy(step.model.answers(step.retain))}


def _sample(
    rows: Sequence[Example], model: Model, seed: int, track: Track | None = None
) -> list[Item]:
    items = [
        item(row)
        for row in rows
        if row.task in ("qa", "caption") and track in (None, row.track) and model.accepts(item(row))
    ]
    order = np.random.default_rng([seed, 5]).permutation(len(items))[:ROWS]
    return [items[place] for place in sorted(order)]


def probability(model: Model, items: Sequence[Item]) -> float:
    """Mean over items of the geometric mean token probability of the answer."""
    readings = model.read_items(items).values()
    return float(np.mean([np.exp(each.log_probs.mean(dtype=np.float64)) for each in readings]))
