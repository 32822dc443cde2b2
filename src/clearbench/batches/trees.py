"""Answers to the same question share one row: the tokens that they have in common are seen once.

A row's sequences are merged into a tree of tokens. Each token attends to its ancestors alone and
stands at its depth, so every path through the tree is read as if it were a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from clearbench.batches.items import Encoded, Item

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """Sequences that look at the same image, or at none, merged by their common beginnings.

    Attributes:
        items: One item per sequence.
        ids: (nodes,) token of each node; parents come before their children.
        parents: (nodes,) node before each node; -1 at the root.
        paths: Per item, the nodes of its sequence.
        starts: Per item, where its answer starts in its sequence.
        tensors: The image's tensors, if there is one.
    """

    items: tuple[Item, ...]
    ids: Ints
    parents: Ints
    paths: tuple[Ints, ...]
    starts: tuple[int, ...]
    tensors: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_chain(self) -> bool:
        """Whether nothing branches, so that plain causal attention is right."""
        return len(self.paths[0]) == len(self)

    @cached_property
    def depths(self) -> Ints:
        """(nodes,) position of each node in its sequences."""
        depths = np.zeros(len(self), np.int64)
        for path in self.paths:
            depths[path] = np.arange(len(path))
        return depths

    def ancestors(self) -> NDArray[np.bool_]:
        """(nodes, nodes) whether the column is the row or an ancestor of it."""
        seen = np.tri(len(self), dtype=bool)
        branching = np.flatnonzero(self.parents != np.arange(-1, len(self) - 1))
        for node in range(branching[0] if len(branching) else len(self), len(self)):
            seen[node] = seen[self.parents[node]]
            seen[node, node] = True
        return seen


def merge(items: Sequence[Item], encoded: Sequence[Encoded]) -> Tree:
    """The tree of sequences with one image, or without any."""
    first = encoded[0].ids
    trunk = min(_common(first, each.ids) for each in encoded)
    ids, parents = list(first[:trunk]), list(range(-1, trunk - 1))
    known: dict[tuple[int, int], int] = {}
    paths = []
    for each in encoded:
        path = list(range(trunk))
        node = trunk - 1
        for token in each.ids[trunk:]:
            key = (node, token)
            if key not in known:
                known[key] = len(ids)
                ids.append(token)
                parents.append(node)
            node = known[key]
            path.append(node)
        paths.append(np.array(path))
    starts = tuple(each.answer_start for each in encoded)
    nodes, before = np.array(ids), np.array(parents)
    return Tree(tuple(items), nodes, before, tuple(paths), starts, encoded[0].tensors)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    if first is second:
        return len(first)
    for place, (ours, theirs) in enumerate(zip(first, second, strict=False)):
        if ours != theirs:
            return place
    return min(len(first), len(second))
