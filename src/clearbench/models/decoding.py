"""Decodes greedily; a row that has ended leaves the batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

#: Maps `forward`'s keyword arguments to the (rows, vocabulary) logits of the next token.
Forward = Callable[[dict[str, Any]], Tensor]


def decode(
    prefill: Forward,
    forward: Forward,
    inputs: dict[str, Tensor],
    cache: DynamicCache,
    ends: Collection[int],
    limits: Sequence[int],
    extras: Mapping[str, int] | None = None,
) -> list[list[int]]:
    """Generates new token ids per row, without the token that ends them.

    Args:
        prefill: Forward pass over the prompts, with their images.
        forward: Forward pass over one further token per row.
        inputs: Left-padded prompts: `input_ids`, `attention_mask` and inputs for images.
        cache: Empty cache, which is filled with the tokens read.
        ends: Tokens that end an answer, any of them.
        limits: Longest answer of each row.
        extras: Value of each further per-token integer on answers, by name.
    """
    mask = inputs["attention_mask"]
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    logits = prefill(inputs | {"position_ids": positions, "past_key_values": cache})
    positions = positions[:, -1:]
    answers: list[list[int]] = [[] for _ in range(len(mask))]
    alive = torch.arange(len(mask), device=mask.device)
    most = torch.tensor(limits, device=mask.device)
    ending = torch.tensor(sorted(ends), dtype=torch.long, device=mask.device)
    for done in range(1, max(limits) + 1):
        tokens = logits.argmax(-1)
        running = ~torch.isin(tokens, ending)
        for row, token in zip(alive[running].tolist(), tokens[running].tolist(), strict=True):
            answers[row].append(token)
        going = (running & (most > done)).nonzero()[:, 0]
        if not len(going):
            break
        if len(going) < len(alive):
            cache.batch_select_indices(going)
            state = (alive, tokens, mask, positions, most)
            alive, tokens, mask, positions, most = (values[going] for values in state)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions + 1
        step = {"input_ids": tokens[:, None], "attention_mask": mask, "position_ids": positions}
        step |= {n: torch.full_like(positions, value) for n, value in (extras or {}).items()}
        logits = forward(step | {"past_key_values": cache})
    return answers
