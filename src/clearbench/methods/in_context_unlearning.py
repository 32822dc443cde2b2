"""Puts forget questions with wrong answers before every question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from clearbench.batches.items import Item
from clearbench.methods.guard import Guard, as_tensor, as_text
from clearbench.methods.paper import Paper
from clearbench.methods.step import Data, Model, State


class InContextUnlearning(
    Guard,
    name="in_context_unlearning",
    paper=Paper(
        "In-Context Unlearning: Language Models as Few Shot Unlearners",
        2023,
        "2310.07579",
        "MartinPawel/In-Context-Unlearning",
    ),
    needs=("forget", "random", "retain"),
    status="adapted",
    modalities=("text",),
):
    """A guard that adds a context: forget rows with flipped answers, then true retain rows.

    The paper's flipped label is here a retained person's answer to the same task. The paper puts
    every forgotten point in the context, of which it has few; ours draws `flipped` of them once,
    since all would not fit (4 is ours). Six true rows are its best setting. The guard's file holds
    the drawn rows, and the weights keep everything.
    """

    flipped: int = Field(default=4, ge=1)
    kept: int = Field(default=6, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Draws the context from the rows without an image."""
        rng = np.random.default_rng(seed)
        shots = [
            *_drawn(rng, _items(data, "random"), self.flipped),
            *_drawn(rng, _items(data, "retain"), self.kept),
        ]
        return {"text": as_tensor("".join(f"{shot.question} {shot.answer}\n" for shot in shots))}

    def ask(self, item: Item, state: State) -> Item:
        """Puts the context before the question."""
        return replace(item, question=as_text(state["text"]) + item.question)


def _items(data: Data, role: str) -> list[Item]:
    items = (item for group in data.batches(role) for batch in group for item in batch.items)
    return [item for item in items if item.media is None]


def _drawn(rng: np.random.Generator, items: list[Item], count: int) -> Iterable[Item]:
    chosen = rng.permutation(len(items))[:count]
    return (items[k] for k in sorted(chosen.tolist()))
