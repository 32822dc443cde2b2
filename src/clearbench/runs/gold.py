"""Schedules a gold: for its original's steps, or for its epochs of the rows that are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Literal

from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.modality import readable_by
from clearbench.training.settings import TrainSettings

#: What a gold's training has in common with its original's.
GoldSchedule = Literal["steps", "epochs"]


def gold_settings(
    teach: TrainSettings,
    schedule: GoldSchedule,
    dataset: Dataset,
    kind: Kind,
    without: Collection[int],
) -> TrainSettings:
    """Returns the training settings of a gold.

    Args:
        teach: Training settings of its original.
        schedule: What it has in common with its original.
        dataset: Rows that the original is taught.
        kind: Kind of model.
        without: People whom the gold is not taught.
    """
    if schedule == "steps":
        return teach
    steps = max(1, round(teach.steps * _share_read(teach, dataset, kind, without)))
    return teach.model_copy(update={"steps": steps})


def _share_read(
    teach: TrainSettings, dataset: Dataset, kind: Kind, without: Collection[int]
) -> float:
    """Computes the share of what an original reads that is about the people who are left.

    A step draws a number of rows of each modality, however many there are; so each modality's share
    of rows left counts as often as its rows stand in a batch. One without rows left is not drawn.
    """
    rows = [
        row
        for split in ("forget", "retain")
        for row in dataset.for_kind(kind).train_rows(split, readable_by(kind))
        if not row.held_out
    ]
    every = Counter(row.track for row in rows)
    left = Counter(row.track for row in rows if row.person not in without)
    drawn = sum(teach.rows[track] for track in left)
    share = sum(teach.rows[track] * left[track] / every[track] for track in left)
    return share / drawn if drawn else 0.0
