"""Stores keys and values of generated tokens without copying those of the tokens before them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

#: Tokens that a layer has room for beyond those that it holds, whenever its memory is made anew.
ROOM = 32


class GrowingLayer(DynamicLayer):
    """A layer of a cache with room for the next tokens, which are written beside those before them.

    `keys` and `values` are the part in use of `rooms`, (rows, heads, tokens, width).
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends the states of new tokens, and returns those of all tokens."""
        if not self.is_initialized:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.rooms = [_room(new, 0) for new in (key_states, value_states)]
            self.keys, self.values = (room[:, :, :0] for room in self.rooms)
            self.is_initialized = True
        keys, values = self._held
        self.keys, self.values = held = (
            self._appended(0, keys, key_states),
            self._appended(1, values, value_states),
        )
        return held

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps these rows alone."""
        if self.get_seq_length() > 0:
            keys, values = self._held
            self.keys = self._selected(0, keys, indices)
            self.values = self._selected(1, values, indices)

    @property
    def _held(self) -> tuple[Tensor, Tensor]:
        """Keys and values, which are there once the layer has been written to."""
        return cast("tuple[Tensor, Tensor]", (self.keys, self.values))

    def _appended(self, place: int, held: Tensor, new: Tensor) -> Tensor:
        before = held.shape[2]
        after = before + new.shape[2]
        room = self.rooms[place]
        if room.data_ptr() != held.data_ptr() or room.shape[2] < after:
            room = self.rooms[place] = _room(new, before)
            room[:, :, :before] = held
        room[:, :, before:after] = new
        return room[:, :, :after]

    def _selected(self, place: int, held: Tensor, indices: Tensor) -> Tensor:
        room = self.rooms[place] = _room(held[: len(indices)], 0)
        kept = room[:, :, : held.shape[2]]
        torch.index_select(held, 0, indices, out=kept)
        return kept


def _room(states: Tensor, before: int) -> Tensor:
    """Makes memory for some states, so many before them and `ROOM` after them."""
    rows, heads, tokens, width = states.shape
    return states.new_empty(rows, heads, before + tokens + ROOM, width)


def growing(cache: DynamicCache) -> None:
    """Gives an empty cache layers with room in place of those that copy all at each new token."""
    layer: Any = GrowingLayer
    cache.layers = [layer() if type(each) is DynamicLayer else each for each in cache.layers]
    if cache.layer_class_to_replicate is DynamicLayer:
        cache.layer_class_to_replicate = layer
