"""A cache with room holds what a cache that copies at every token holds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, LlamaConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from clearbench.models.growing_cache import ROOM, GrowingLayer, growing


def states(rows: int, tokens: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 2, tokens, 4), torch.randn(rows, 2, tokens, 3)


@pytest.mark.parametrize("chosen", [[0, 2], [2, 1, 0], [1]])
def test_it_holds_the_same_states(chosen: list[int]) -> None:
    plain, ours = DynamicLayer(), GrowingLayer()
    rows = 3
    for tokens in (5, 1, 1, ROOM, 1, 2):
        new = states(rows, tokens)
        seen = ours.update(*(part.clone() for part in new))
        assert all(map(torch.equal, seen, plain.update(*new)))
        assert all(map(torch.equal, (ours.keys, ours.values), (plain.keys, plain.values)))
        if tokens == 1 and rows == 3:
            kept, rows = torch.tensor(chosen), len(chosen)
            plain.batch_select_indices(kept)
            ours.batch_select_indices(kept)
        plain.crop(-1)
        ours.crop(-1)
    assert ours.get_seq_length() == plain.get_seq_length() == 42 - 6


def test_rows_in_another_order_keep_it() -> None:
    plain, ours = DynamicLayer(), GrowingLayer()
    for new in (states(3, 5), states(3, 1)):
        seen = [layer.update(*new) for layer in (plain, ours)]
        assert all(map(torch.equal, *seen))
        for layer in (plain, ours):
            layer.reorder_cache(torch.tensor([2, 0, 1]))


def test_a_token_is_written_beside_those_before_it() -> None:
    layer = GrowingLayer()
    layer.update(*states(2, 5))
    place = layer.keys.data_ptr()
    layer.update(*states(2, 1))
    assert layer.keys.data_ptr() == place
    layer.update(*states(2, ROOM))
    assert layer.keys.data_ptr() != place


def test_states_that_were_seen_are_never_written_over() -> None:
    layer = GrowingLayer()
    seen, _ = layer.update(*states(2, 5))
    before = seen.clone()
    layer.update(*states(2, 1))
    assert torch.equal(seen, before)


def test_only_plain_layers_are_replaced() -> None:
    config = LlamaConfig(num_hidden_layers=2, sliding_window=4)
    config.layer_types = ["full_attention", "sliding_attention"]
    cache = DynamicCache(config=config)
    growing(cache)
    assert [type(layer) for layer in cache.layers] == [GrowingLayer, DynamicSlidingWindowLayer]
    lazy = DynamicCache()
    growing(lazy)
    lazy.update(*states(1, 2), 0)
    assert type(lazy.layers[0]) is GrowingLayer
