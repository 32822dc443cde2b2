"""Splits a step's rows by modality, so that each modality's rows have a weight of their own.

One mean over the tokens of several modalities would weigh each by its number of tokens, and so by
the length of its answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clearbench.batches.items import Item
from clearbench.data.modality import modalities
from clearbench.processes import processes
from clearbench.training.roles import DERIVED

#: Items of one step, by role.
Drawn = Mapping[str, list[Item]]


@dataclass(frozen=True)
class Part:
    """The rows of a step that have one weight.

    Attributes:
        share: Factor of the terms on these rows; those of all parts sum to 1.
        drawn: Items by role.
    """

    share: float
    drawn: Drawn


def split_by_modality(
    drawn: Drawn, roles: Sequence[str], weights: Mapping[str, float]
) -> list[Part]:
    """Splits a step's rows into a part for each modality that is forgotten.

    Rows made from forget rows stay with them; rows of a modality that is not forgotten are in the
    last part. All rows are one part where no forget rows are read, where they are of one modality,
    or where a role has no rows of one of them.

    Args:
        drawn: Items of the step by role.
        roles: Roles that the loss reads.
        weights: Weights by modality; 1 for those that it does not name.
    """
    forget = drawn.get("forget", []) if {"forget", *DERIVED} & {*roles} else []
    tracks = [name for name in modalities() if any(row.track == name for row in forget)]
    others = [role for role in roles if role in drawn and role not in ("forget", *DERIVED)]
    found = [{row.track for row in drawn[role]} for role in others if role != "spared"]
    if len(tracks) < 2 or not all(here >= {*tracks} for here in found):
        return [Part(1.0, drawn)]
    own = {track: weights.get(track, 1.0) for track in tracks}
    total = sum(own.values())
    return [
        Part(own[track] / total, _rows_of(track, drawn, {*tracks[:-1]}, last=track == tracks[-1]))
        for track in tracks
    ]


def cut_micro_batches(parts: Sequence[Part], accumulate: int) -> Sequence[Sequence[Part]]:
    """The rows of this process's micro-batches of a step, each with rows of every part."""
    shared = processes()
    cuts = accumulate * shared.num_processes
    first = shared.process_index * accumulate
    return [
        [
            Part(part.share, {role: items[cut::cuts] for role, items in part.drawn.items()})
            for part in parts
        ]
        for cut in range(first, first + accumulate)
    ]


def _rows_of(track: str, drawn: Drawn, earlier: set[str], *, last: bool) -> Drawn:
    """The rows of one part: of its track or, in the last part, of none of the earlier ones."""
    places = [place for place, row in enumerate(drawn["forget"]) if row.track == track]
    part: dict[str, list[Item]] = {}
    for role, items in drawn.items():
        if role in ("forget", *DERIVED):
            part[role] = [items[place] for place in places]
        else:
            part[role] = [
                row for row in items if row.track == track or (last and row.track not in earlier)
            ]
    return part
