"""Merges answers to the same question into one row that holds common tokens once.

A row's sequences are merged into a tree of tokens. Each token attends to its ancestors alone and
its position is its depth, so that every path through the tree gives what a row of its own gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clearbench.batches.items import Encoded, Item

if TYPE_CHECKING:
    from torch import Tensor

Ints = NDArray[np.int64]
#: A token id, or a token id with its extras.
Token = int | tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Sequences with the same media, or without any, merged by their common beginnings.

    Attributes:
        items: One item per sequence.
        ids: Token of each node, (nodes,); parents come before their children.
        parents: Index of the node before each node, (nodes,); -1 at the root.
        paths: Nodes of each item's sequence.
        starts: Position of each item's answer in its sequence.
        tensors: Tensors of the media, if there are any.
        extras: Further integers of each node from the processor, (nodes,), by name.
        spans: Tensors of the media with a row per node, (1, nodes, ...), by name, as `Encoded`.
    """

    items: tuple[Item, ...]
    ids: Ints
    parents: Ints
    paths: tuple[Ints, ...]
    starts: tuple[int, ...]
    tensors: dict[str, Tensor]
    extras: dict[str, Ints] = field(default_factory=dict)
    spans: dict[str, Tensor] = field(default_factory=dict)

    @property
    def medium(self) -> str:
        """Name of the modality of its items' media; `text` without media."""
        return self.items[0].medium

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_chain(self) -> bool:
        """Whether nothing branches, so that plain causal attention is right."""
        return len(self.paths[0]) == len(self)

    @cached_property
    def depths(self) -> Ints:
        """Position of each node in its sequences, (nodes,)."""
        depths = np.zeros(len(self), np.int64)
        for path in self.paths:
            depths[path] = np.arange(len(path))
        return depths

    def ancestors(self) -> NDArray[np.bool_]:
        """Computes whether the column is the row or an ancestor of it, (nodes, nodes)."""
        seen = np.tri(len(self), dtype=bool)
        branching = np.flatnonzero(self.parents != np.arange(-1, len(self) - 1))
        for node in range(branching[0] if len(branching) else len(self), len(self)):
            seen[node] = seen[self.parents[node]]
            seen[node, node] = True
        return seen


def merge(items: Sequence[Item], encoded: Sequence[Encoded]) -> Tree:
    """Merges sequences with the same media, or without any, into a tree.

    Tokens are the same where their ids and all their extras are.
    """
    names = list(encoded[0].extras)
    sequences = [_tokens(sequence, names) for sequence in encoded]
    trunk = min(common_prefix(sequences[0], sequence) for sequence in sequences)
    tokens, parents = list(sequences[0][:trunk]), list(range(-1, trunk - 1))
    known: dict[tuple[int, Token], int] = {}
    paths = []
    for sequence in sequences:
        path = list(range(trunk))
        node = trunk - 1
        for token in sequence[trunk:]:
            key = (node, token)
            if key not in known:
                known[key] = len(tokens)
                tokens.append(token)
                parents.append(node)
            node = known[key]
            path.append(node)
        paths.append(np.array(path))
    starts = tuple(sequence.answer_start for sequence in encoded)
    columns = np.array(tokens).reshape(len(tokens), -1)
    extras = {name: columns[:, place] for place, name in enumerate(names, start=1)}
    nodes = (columns[:, 0], np.array(parents), tuple(paths), starts)
    return Tree(tuple(items), *nodes, encoded[0].tensors, extras, encoded[0].spans)


def _tokens(sequence: Encoded, names: Sequence[str]) -> Sequence[Token]:
    """Returns token ids or, where tokens have extras, tuples of the id and each extra."""
    if not names:
        return sequence.ids
    return tuple(zip(sequence.ids, *(sequence.extras[name] for name in names), strict=True))


def common_prefix(first: Sequence[Token], second: Sequence[Token]) -> int:
    """Counts the tokens from the beginning in which two sequences are the same."""
    if first is second:
        return len(first)
    for place, (ours, theirs) in enumerate(zip(first, second, strict=False)):
        if ours != theirs:
            return place
    return min(len(first), len(second))
