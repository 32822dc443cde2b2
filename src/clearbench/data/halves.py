"""Divides a dataset for CLEAR's vision track: two halves, with forget and holdout exchanged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import numpy as np

from clearbench.data.dataset import Dataset
from clearbench.errors import DataError

Half = Literal["first", "second"]


def half(
    dataset: Dataset, forget: Collection[int], holdout: Collection[int], seed: int = 0
) -> Dataset:
    """Returns the dataset of a model of one half; exchange the two sets for the other half.

    It learns `forget` and half of those in neither set, drawn by the seed: 20 and 80 of CLEAR's
    200 people. `holdout` is only measured; the others are gone.

    Args:
        dataset: Dataset of all people, divided in any way.
        forget: People who are learned and then forgotten.
        holdout: People who are never learned.
        seed: Seed for the choice of the other people who are learned.

    Raises:
        DataError: The sets overlap, hold an unknown person or leave no one to keep.
    """
    chosen, strangers = set(forget), set(holdout)
    known = dataset.people("forget") | dataset.people("retain")
    others = sorted(known - chosen - strangers)
    for wrong, what in (
        (chosen & strangers, "are in both sets"),
        (strangers - known, "are not known"),
        ((chosen | strangers) if len(others) < 2 else set(), "leave nobody to keep"),
    ):
        if wrong:
            raise DataError(f"people {sorted(wrong)} {what}", "halves", "choose other sets")
    kept = np.random.default_rng([seed, 5]).permutation(others)[: len(others) // 2]
    trained = dataset.forgetting(chosen, known - chosen - set(kept.tolist()))
    rows = [row for split in ("forget", "retain") for row in dataset.evaluation.get(split, ())]
    measured = tuple(row for row in rows if row.person in strangers)
    return replace(trained, evaluation=trained.evaluation | {"holdout": measured})


def in_half(dataset: Dataset, which: Half, seed: int = 0) -> Dataset:
    """Returns one half: forgotten people, and as many others, are exchanged in the second.

    Args:
        dataset: Dataset with a forget split.
        which: Half of the models; the `first` forgets the dataset's own forgotten people.
        seed: Seed for the choice of the other people who are learned.
    """
    forget = dataset.people("forget")
    measured = {row.person for row in dataset.evaluation.get("retain", ())}
    holdout = set(sorted(dataset.people("retain") & measured)[-len(forget) :])
    sides = (forget, holdout) if which == "first" else (holdout, forget)
    return half(dataset, *sides, seed)
