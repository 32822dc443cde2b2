"""Pads trees of token sequences into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clearbench.batches.batch import Batch
from clearbench.batches.trees import Tree
from clearbench.libraries import functional, torch

if TYPE_CHECKING:
    from torch import Tensor


def collate(
    trees: Sequence[Tree], pad: int, side: str = "right", blanks: Mapping[str, int] | None = None
) -> Batch:
    """Pads trees of one medium into a batch, a tree a row.

    Chains get the usual (rows, length) `attention_mask`; if a tree branches, `attention_mask` is
    (rows, 1, length, length), 0 where a token may attend and the lowest float elsewhere, and
    `position_ids` are the depths of the tokens.

    Args:
        trees: Trees that all have media of one modality, or none.
        pad: Id of the padding token.
        side: Side of the padding, `right` or `left`.
        blanks: Values of the extras at padding and in trees without them, by name; else 0.
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
    inputs |= _extras(trees, shifts, length, blanks or {})
    inputs |= joined([tree.tensors for tree in trees])
    inputs |= _spans(trees, shifts, length)
    starts = [row * length + shift for row, shift in enumerate(shifts)]
    places, targets, owners = answer_tokens(trees, starts)
    items = tuple(item for tree in trees for item in tree.items)
    return Batch(inputs, places, targets, owners, items, media_keys(trees), tuple(trees))


def media_keys(trees: Sequence[Tree]) -> tuple[str, ...]:
    """Lists the keys of the trees' media, in order."""
    return tuple(tree.items[0].media.key for tree in trees if tree.items[0].media)


def joined(media: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Joins tensors of several media, padded with 0 to one size where they differ."""
    return {name: _padded([tensors[name] for tensors in media]) for name in media[0]}


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    sizes = torch.tensor([tensor.shape[1:] for tensor in tensors])
    if not bool((sizes == sizes[0]).all()):
        most = sizes.amax(0)
        gaps = [(most - size).flip(0).tolist() for size in sizes]
        tensors = [
            functional.pad(tensor, [n for gap in row for n in (0, gap)])
            for tensor, row in zip(tensors, gaps, strict=True)
        ]
    return torch.cat(list(tensors))


def _extras(
    trees: Sequence[Tree], shifts: Sequence[int], length: int, blanks: Mapping[str, int]
) -> dict[str, Tensor]:
    """Pads every extra that a tree has to (rows, length)."""
    padded = {}
    for name in dict.fromkeys(name for tree in trees for name in tree.extras):
        padded[name] = torch.full((len(trees), length), blanks.get(name, 0))
        for row, (tree, shift) in enumerate(zip(trees, shifts, strict=True)):
            if name in tree.extras:
                values = torch.from_numpy(tree.extras[name])
                padded[name][row, shift : shift + len(tree)] = values
    return padded


def _spans(trees: Sequence[Tree], shifts: Sequence[int], length: int) -> dict[str, Tensor]:
    """Pads tensors with a row per token to (rows, length, ...); later tokens repeat the last."""
    padded = {}
    for name in trees[0].spans:
        rows = joined([{name: tree.spans[name][0, -1:]} for tree in trees])[name]
        padded[name] = rows.new_zeros(len(trees), length, *rows.shape[1:])
        for row, (tree, shift) in enumerate(zip(trees, shifts, strict=True)):
            known = tree.spans[name][0, : len(tree)]
            own: Any = (row, slice(shift, shift + len(tree)), *map(slice, known.shape[1:]))
            repeated = known[-1:].expand(len(tree) - len(known), *known.shape[1:])
            padded[name][own] = torch.cat([known, repeated])
    return padded


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
    """Computes `places`, `targets` and `owners`; tree k begins at flat place starts[k]."""
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
