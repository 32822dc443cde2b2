"""Answers to the same question share one row: the tokens that they have in common are seen once.

A row's sequences are merged into a tree of tokens. Each token attends to its ancestors alone and
stands at its depth, so every path through the tree is read as if it were a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clearbench.data.batches import Batch, Encoded, Item

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """Sequences that look at the same picture, or at none, merged by their common beginnings.

    Attributes:
        items: One item per sequence.
        ids: (nodes,) token of each node; parents come before their children.
        parents: (nodes,) node before each node; -1 at the root.
        paths: Per item, the nodes of its sequence.
        starts: Per item, where its answer starts in its sequence.
        tensors: The picture's tensors, if there is one.
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
    """The tree of sequences with one picture, or without any."""
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


def collate(trees: Sequence[Tree], pad: int, side: str = "right") -> Batch:
    """Pads trees of one kind (all with a picture, or none) into a batch, a tree a row.

    Chains get the usual (rows, length) `attention_mask`; if a tree branches, `attention_mask` is
    (rows, 1, length, length), 0 where a token may look and the lowest float elsewhere, and
    `position_ids` say how deep each token stands.
    """
    length = max(len(tree) for tree in trees)
    shifts = [0 if side == "right" else length - len(tree) for tree in trees]
    ids = torch.full((len(trees), length), pad)
    attention = torch.zeros((len(trees), length), dtype=torch.long)
    for row, (tree, shift) in enumerate(zip(trees, shifts, strict=True)):
        ids[row, shift : shift + len(tree)] = torch.from_numpy(tree.ids)
        attention[row, shift : shift + len(tree)] = 1
    inputs = {"input_ids": ids, "attention_mask": attention}
    if not all(tree.is_chain for tree in trees):
        inputs |= _branching(trees, shifts, length)
    for name in trees[0].tensors:
        inputs[name] = torch.cat([tree.tensors[name] for tree in trees])
    starts = [row * length + shift for row, shift in enumerate(shifts)]
    places, targets, owners = answer_tokens(trees, starts)
    items = tuple(each for tree in trees for each in tree.items)
    pictures = tuple(tree.items[0].picture.key for tree in trees if tree.items[0].picture)
    return Batch(inputs, places, targets, owners, items, pictures, tuple(trees))


def _branching(trees: Sequence[Tree], shifts: Sequence[int], length: int) -> dict[str, Tensor]:
    seen = np.broadcast_to(np.eye(length, dtype=bool), (len(trees), length, length)).copy()
    depths = np.zeros((len(trees), length), np.int64)
    for row, (tree, shift) in enumerate(zip(trees, shifts, strict=True)):
        span = slice(shift, shift + len(tree))
        seen[row, span, span] = tree.ancestors()
        depths[row, span] = tree.depths
    mask = torch.full(seen.shape, torch.finfo(torch.float32).min)
    mask.masked_fill_(torch.from_numpy(seen), 0.0)
    return {"attention_mask": mask[:, None], "position_ids": torch.from_numpy(depths)}


def answer_tokens(trees: Sequence[Tree], starts: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """`places`, `targets` and `owners` of a batch whose tree k begins at flat place starts[k]."""
    places, targets, owners = [], [], []
    owner = 0
    for tree, shift in zip(trees, starts, strict=True):
        for path, start in zip(tree.paths, tree.starts, strict=True):
            places.append(path[start - 1 : -1] + shift)
            targets.append(tree.ids[path[start:]])
            owners.append(np.full(len(path) - start, owner))
            owner += 1
    columns = (np.concatenate(places), np.concatenate(targets), np.concatenate(owners))
    return torch.from_numpy(columns[0]), torch.from_numpy(columns[1]), torch.from_numpy(columns[2])
