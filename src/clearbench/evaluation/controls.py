"""Replaces measured images by blank ones or another person's, under the same questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import Media
from clearbench.data.modality import modalities, modality
from clearbench.errors import RecipeError, did_you_mean
from clearbench.evaluation.records import SIDE, Records

Control = Literal["blank", "shuffled"]


def blank(dataset: Dataset) -> Dataset:
    """Replaces every measured image by plain grey of its size.

    A model that still answers knows it from the question alone.
    """

    def grey(rows: tuple[Example, ...]) -> tuple[Example, ...]:
        return tuple(
            row
            if row.media is None or not _can_change(row, "blank")
            else row.model_copy(update={"media": modality(row.track).blank(row.media)})
            for row in rows
        )

    return _changed(dataset, grey)


def shuffled(dataset: Dataset, seed: int = 0) -> Dataset:
    """Replaces every measured image of a person by one of another person of its split.

    A model that reads the face now names the other person. Splits of fewer than two people, and
    rows about the world, stay as they are.
    """
    rng = np.random.default_rng([seed, 7])

    def swapped(rows: tuple[Example, ...]) -> tuple[Example, ...]:
        images: dict[int, list[Media]] = {}
        for row in rows:
            if _can_change(row, "shuffled") and row.media and row.person is not None:
                images.setdefault(row.person, []).append(row.media)
        people = rng.permutation(sorted(images)).tolist()
        after = dict(zip(people, [*people[1:], *people[:1]], strict=True))
        return tuple(
            row
            if not _can_change(row, "shuffled") or row.person is None or len(people) < 2
            else row.model_copy(update={"media": _any(images[after[row.person]], rng)})
            for row in rows
        )

    return _changed(dataset, swapped)


def _any(images: list[Media], rng: np.random.Generator) -> Media:
    return images[int(rng.integers(len(images)))]


def _can_change(row: Example, name: str) -> bool:
    return row.media is not None and name in modality(row.track).controls


def _changed(
    dataset: Dataset, change: Callable[[tuple[Example, ...]], tuple[Example, ...]]
) -> Dataset:
    return replace(
        dataset, evaluation={split: change(rows) for split, rows in dataset.evaluation.items()}
    )


CONTROLS: dict[str, Callable[[Dataset], Dataset]] = {"blank": blank, "shuffled": shuffled}


def control(dataset: Dataset, name: str) -> Dataset:
    """Returns the dataset with the measured images of a control.

    Raises:
        RecipeError: No control has that name.
    """
    if name not in CONTROLS:
        raise RecipeError(f"unknown control '{name}'", "pictures", did_you_mean(name, CONTROLS))
    return CONTROLS[name](dataset)


def images_only(dataset: Dataset) -> Dataset:
    """Keeps the measured rows that a control can change."""
    return _changed(dataset, lambda rows: tuple(row for row in rows if row.media is not None))


def under_control(records: Records, controlled: Records) -> Records:
    """Replaces the records of rows with an image by those measured under a control.

    Side effects are measured on images of their own and are left out.
    """
    shown = [name for name, entry in modalities().items() if entry.media]
    plain = records.in_groups(lambda key: key.track not in shown and key.split != SIDE)
    return plain.joined(controlled.in_groups(lambda key: key.track in shown))
