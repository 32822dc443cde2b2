"""Rows made from the forget rows: other answers to them, other rows of the same people."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np
from PIL import ImageOps

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.errors import RecipeError
from clearbench.models.base import Model

Drawn = TypeVar("Drawn")
DERIVED = ("idk", "random", "shuffled", "paired", "decoupled", "kept", "mirrored")


@dataclass(frozen=True)
class Roles:
    """Makes the derived roles for one model and dataset."""

    model: Model
    dataset: Dataset

    def of(self, role: str, forget: Sequence[Item], seed: int, step: int) -> list[Item]:
        """The role's rows for a step's forget rows, one for one."""
        return [self._one(role, each, seed, step, place) for place, each in enumerate(forget)]

    def _one(self, role: str, each: Item, seed: int, step: int, place: int) -> Item:
        key = [seed, step, place, zlib.crc32(each.row.encode())]
        if role == "idk":
            answer = self.refusal(each, np.random.default_rng(key))
            return replace(each, variant="refusal", answer=answer)
        if role == "mirrored":
            flipped = None if each.image is None else _mirrored(each.image)
            return replace(each, variant=role, media=flipped)
        rng = np.random.default_rng([*key, zlib.crc32(role.encode())])
        if role == "paired":
            return _draw(self._partners(each), rng, role, each)
        if role == "kept":
            return item(_draw(self._alike(each, "retain"), rng, role, each))
        if role == "decoupled":
            other = item(_draw(self._alike(each, "retain"), rng, role, each), role)
            return other if each.media is None else replace(other, question=each.question)
        split = "retain" if role == "random" else "forget"
        return replace(each, variant=role, answer=_draw(self._others(each, split), rng, role, each))

    def refusal(self, each: Item, rng: np.random.Generator) -> str:
        """What is said instead of a forgotten answer; on a classifier a retained person's label."""
        if self.model.kind == "classifier":
            return self._retained_names[rng.integers(len(self._retained_names))]
        spoken = self.dataset.refusals
        bank = spoken if each.media is None else self.dataset.image_refusals or spoken
        return bank[rng.integers(len(bank))] if bank else ""

    def _others(self, each: Item, split: str) -> list[str]:
        """Answers to the same task on the same track in a split, none of them the row's own.

        Other people's, where there are any.
        """
        rows = [row for row in self._alike(each, split) if row.answer != each.answer]
        return [row.answer for row in rows if row.person != each.person] or [r.answer for r in rows]

    def _alike(self, each: Item, split: str) -> list[Example]:
        """Rows of the same task on the same track in a split."""
        mine = self._row[each.row]
        rows = self.dataset.train_rows(split, (mine.track,))
        return [row for row in rows if row.task == mine.task and not row.held_out]

    def _partners(self, each: Item) -> list[Item]:
        """Rows of the same person on the other track."""
        track = self._row[each.row].track
        rows = [row for row in self.dataset.train_rows("forget") if row.track != track]
        items = [item(row) for row in rows if row.person == each.person]
        return [partner for partner in items if self.model.accepts(partner)]

    @cached_property
    def _row(self) -> dict[str, Example]:
        return {row.id: row for row in self.dataset.train_rows("forget")}

    @cached_property
    def _retained_names(self) -> list[str]:
        return sorted(self.dataset.names[person] for person in self.dataset.people("retain"))


@lru_cache(maxsize=4096)
def _mirrored(image: EncodedImage) -> EncodedImage:
    return EncodedImage.of(ImageOps.mirror(image.decode()))


def _draw(pool: Sequence[Drawn], rng: np.random.Generator, role: str, each: Item) -> Drawn:
    if not pool:
        raise RecipeError(
            f"nothing for the role '{role}' beside the row '{each.row}'",
            "dataset",
            "choose a method without it, or give more rows of that task or person",
        )
    return pool[int(rng.integers(len(pool)))]
