"""Chooses the rows that an attack measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from clearbench.data.example import Example
from clearbench.data.modality import modality


def of_main_task(rows: Sequence[Example], track: str) -> Iterator[Example]:
    """Yields a track's rows of the main task, or else those that ask for the name."""
    kind = modality(track)
    tasks = {row.task for row in rows if row.track == track}
    chosen = kind.main_task if kind.main_task in tasks else kind.identifying_task
    return (row for row in rows if row.track == track and row.task == chosen)


def evenly(rows: Sequence[Example], count: int, seed: int) -> list[Example]:
    """Draws rows of people in turn, until there are `count`; keeps their order."""
    order = np.random.default_rng([seed, 6]).permutation(len(rows))
    turns: dict[object, int] = {}
    ranks = {}
    for position, index in enumerate(order):
        row = rows[index]
        who = row.id if row.person is None else row.person
        turns[who] = turns.get(who, -1) + 1
        ranks[int(index)] = (turns[who], position)
    kept = sorted(ranks, key=lambda index: ranks[index])[:count]
    return [rows[index] for index in sorted(kept)]
