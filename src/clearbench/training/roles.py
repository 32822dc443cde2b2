"""Makes a changed copy of each forget or retain row, or another row in its place.

Refusals, wrong answers, mirrored images, rows of the same person, and rows of retained people;
`methods/step.py` says what each role is.
"""

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
#: Roles made from forget rows, and from retain rows.
DERIVED = ("idk", "random", "shuffled", "paired", "decoupled", "kept", "mirrored")
OF_RETAIN = ("refused",)


@dataclass(frozen=True)
class Roles:
    """Makes the rows of the roles in `DERIVED` and `OF_RETAIN` for one model and dataset."""

    model: Model
    dataset: Dataset

    def of(self, role: str, rows: Sequence[Item], seed: int, step: int) -> list[Item]:
        """Makes a role's rows for a step's forget (or retain) rows, one for one."""
        return [self._one(role, row, seed, step, place) for place, row in enumerate(rows)]

    def _one(self, role: str, forget: Item, seed: int, step: int, place: int) -> Item:
        key = [seed, step, place, zlib.crc32(forget.row.encode())]
        if role in ("idk", "refused"):
            answer = self.refusal(forget, np.random.default_rng(key))
            return replace(forget, variant="refusal", answer=answer)
        if role == "mirrored":
            flipped = forget.media if forget.image is None else _mirrored(forget.image)
            return replace(forget, variant=role, media=flipped)
        rng = np.random.default_rng([*key, zlib.crc32(role.encode())])
        if role == "paired":
            return _draw(self._partners(forget), rng, role, forget)
        if role == "kept":
            return item(_draw(self._alike(forget, "retain"), rng, role, forget))
        if role == "decoupled":
            other = item(_draw(self._alike(forget, "retain"), rng, role, forget), role)
            return other if forget.media is None else replace(other, question=forget.question)
        split = "retain" if role == "random" else "forget"
        answer = _draw(self._others(forget, split), rng, role, forget)
        return replace(forget, variant=role, answer=answer)

    def refusal(self, forget: Item, rng: np.random.Generator) -> str:
        """Draws a refusal in place of an answer; on a classifier a retained label."""
        if self.model.kind == "classifier":
            return self._retained_names[rng.integers(len(self._retained_names))]
        texts = self.dataset.refusals
        bank = texts if forget.media is None else self.dataset.image_refusals or texts
        return bank[rng.integers(len(bank))] if bank else ""

    def _others(self, forget: Item, split: str) -> list[str]:
        """Lists wrong answers: to the same task and track, in `split`; of other people if any."""
        rows = [row for row in self._alike(forget, split) if row.answer != forget.answer]
        others = [row for row in rows if row.person != forget.person]
        return [row.answer for row in others or rows]

    def _alike(self, forget: Item, split: str) -> list[Example]:
        """Lists training rows of `split` with the same task and track."""
        mine = self._row[forget.row]
        rows = self.dataset.train_rows(split, (mine.track,))
        return [row for row in rows if row.task == mine.task and not row.held_out]

    def _partners(self, forget: Item) -> list[Item]:
        """Rows of the same person on the other track that the model can read."""
        track = self._row[forget.row].track
        rows = [row for row in self.dataset.train_rows("forget") if row.track != track]
        items = [item(row) for row in rows if row.person == forget.person]
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


def _draw(pool: Sequence[Drawn], rng: np.random.Generator, role: str, forget: Item) -> Drawn:
    if not pool:
        raise RecipeError(
            f"nothing for the role '{role}' of the row '{forget.row}'",
            "dataset",
            "choose a method without it, or give more rows of that task or person",
        )
    return pool[int(rng.integers(len(pool)))]
