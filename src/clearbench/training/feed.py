"""Draws the rows of a step as a function of (seed, step) alone, so that a run can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.modality import modalities
from clearbench.errors import RecipeError
from clearbench.training.roles import DERIVED, OF_RETAIN, Roles


@dataclass(frozen=True)
class Pool:
    """Draws `per_step` items a step, every item once before any is drawn again."""

    items: Sequence[Item]
    per_step: int

    def draw(self, seed: int, step: int) -> list[Item]:
        """Draws the items of a step."""
        size = len(self.items)
        places = range(step * self.per_step, (step + 1) * self.per_step)
        orders = {
            epoch: np.random.default_rng([seed, epoch]).permutation(size)
            for epoch in {place // size for place in places}
        }
        return [self.items[orders[place // size][place % size]] for place in places]


#: Function from (seed, step) to the items of every role that a loss reads.
Feed = Callable[[int, int], Mapping[str, list[Item]]]


def mixed_feed(roles: Mapping[str, Sequence[Pool]]) -> Feed:
    """Makes a feed that draws each role from all of its pools in every step."""

    def draw(seed: int, step: int) -> Mapping[str, list[Item]]:
        return {
            role: [
                drawn for k, pool in enumerate(pools) for drawn in pool.draw(seed + 7919 * k, step)
            ]
            for role, pools in roles.items()
        }

    return draw


def every_track(rows: int) -> dict[str, int]:
    """The same number of rows of each track."""
    return dict.fromkeys(modalities(), rows)


def track_pools(
    rows: Sequence[Example], per_step: Mapping[str, int], accepts: Callable[[Item], bool]
) -> list[Pool]:
    """Makes one pool per track, so that a track's weight does not depend on its number of rows."""
    tracks: dict[str, list[Item]] = {}
    for row in rows:
        if not row.held_out and accepts(item(row)):
            tracks.setdefault(row.track, []).append(item(row))
    return [Pool(tuple(items), per_step[track]) for track, items in tracks.items()]


def unlearning_feed(
    dataset: Dataset,
    tracks: Sequence[str],
    rows: Mapping[str, int],
    replay: int,
    roles: Roles,
    needs: Sequence[str],
) -> Feed:
    """Makes a feed of forget rows of the chosen tracks, and of retain and replay rows of all.

    The role `spared` and the roles made from other rows are drawn where `needs` names them.
    """
    accepts = roles.model.accepts
    forget = track_pools(dataset.train_rows("forget", tracks), rows, accepts)
    retain = track_pools(dataset.train_rows("retain"), rows, accepts)
    if replay:
        retain += track_pools(dataset.train_rows("replay"), every_track(replay), accepts)
    others = [track for track in rows if track not in tracks]
    spared = track_pools(dataset.train_rows("forget", others), rows, accepts)
    if not forget:
        raise RecipeError(
            f"nothing to forget on {' and '.join(tracks)} that this model can read",
            "modality",
            "choose another modality or another model",
        )
    pools = {"forget": forget, "retain": retain}
    base = mixed_feed(pools | ({"spared": spared} if spared and "spared" in needs else {}))
    sources = dict.fromkeys(DERIVED, "forget") | dict.fromkeys(OF_RETAIN, "retain")
    derived = {role: source for role, source in sources.items() if role in needs}

    def draw(seed: int, step: int) -> Mapping[str, list[Item]]:
        drawn = base(seed, step)
        made = {role: roles.of(role, drawn[source], seed, step) for role, source in derived.items()}
        return {**drawn, **made}

    return draw
