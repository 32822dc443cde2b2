"""Makes a changed copy of each forget or retain row, or another row in its place.

Refusals, wrong answers, mirrored images, rows of the same person, and rows of retained people;
`methods/step.py` says what each role is.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import ImageOps

from clearbench.batches.items import Item, item
from clearbench.data.alike import WordVectors, words_without
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage
from clearbench.errors import RecipeError

if TYPE_CHECKING:
    from clearbench.models.base import Model

Drawn = TypeVar("Drawn")
#: Roles made from forget rows, and from retain rows.
DERIVED = (
    "idk", "random", "alternate", "shuffled", "paired", "decoupled", "kept", "mirrored",
)  # fmt: skip
OF_RETAIN = ("refused",)
#: Number of retained questions that count as similar to a row's, with all as like it as the last;
#: as many as AltPO's code has alternative answers.
SIMILAR = 5
#: Decimals of a likeness; smaller differences are rounding.
DIGITS = 9


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
            alone = forget.media is None
            rows = self._similar(forget) if alone else self._alike(forget, "retain")
            other = item(_draw(rows, rng, role, forget), role)
            return other if alone else replace(other, question=forget.question)
        if role == "alternate":
            similar = self._similar(forget)
            answers = [row.answer for row in similar if row.answer != forget.answer]
        else:
            answers = self._others(forget, "retain" if role == "random" else "forget")
        return replace(forget, variant=role, answer=_draw(answers, rng, role, forget))

    def _similar(self, forget: Item) -> list[Example]:
        """Lists the retained rows with the questions that are most like a row's."""
        if forget.row not in self._found:
            mine, rows = self._row[forget.row], self._alike(forget, "retain")
            asked = [self._asked(row) for row in (mine, *rows)]
            vectors = WordVectors(asked).vectors(asked)
            likeness = (vectors[1:] @ vectors[0].T).toarray().ravel().round(DIGITS)
            least = np.sort(likeness)[::-1][:SIMILAR].min(initial=1.0)
            pairs = zip(rows, likeness, strict=True)
            self._found[forget.row] = [row for row, alike in pairs if alike >= least]
        return self._found[forget.row]

    def _asked(self, row: Example) -> set[str]:
        """Returns the words of a question without the person's name."""
        name = self.dataset.names.get(row.person, "") if row.person is not None else ""
        return words_without(row.question, name)

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
        items = [item(row) for row in rows if row.person == forget.person and not row.held_out]
        return [partner for partner in items if self.model.accepts(partner)]

    @cached_property
    def _found(self) -> dict[str, list[Example]]:
        return {}

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
