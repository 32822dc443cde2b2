"""Source of MLLMU-Bench as published: the hub's, its cache, or a folder with the same files."""

from __future__ import annotations

import re

from clearbench.data.dataset import Dataset
from clearbench.data.mllmu import is_mllmu, read_mllmu
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten, refuse_people
from clearbench.errors import DataError, did_you_mean

#: Published forget splits; the authors' scripts take the first.
SPLITS = ("forget_5", "forget_10", "forget_15")


class Mllmu(DatasetSource, name="MLLMMU/MLLMU-Bench"):
    """Loads fictitious people and celebrities with questions of three kinds."""

    shows = "MLLMU-Bench in its published layout: hub, its cache, or a folder like it"
    position = 80

    def recognises(self, request: Request) -> bool:
        """Whether it is called by its name, or a folder has MLLMU-Bench's columns."""
        return request.source == self.name or (request.path.is_dir() and is_mllmu(request.tables))

    def load(self, request: Request) -> Dataset:
        """Reads the people of a forget split, and those of the retain split that goes with it."""
        refuse_people(request)
        forget, retain = splits_of(request)
        dataset = read_mllmu(request.tables, forget, retain)
        count = request.forget if isinstance(request.forget, int) else None
        return dataset if count is None else last_forgotten(dataset, count)


def splits_of(request: Request) -> tuple[str, str]:
    """Names the forget and the retain split of a request, such as `forget_5` and `retain_95`.

    Raises:
        DataError: There is no such forget split.
    """
    forget = request.forget if isinstance(request.forget, str) else SPLITS[0]
    share = re.fullmatch(r"forget_(\d\d?)", forget)
    if share is None:
        fix = did_you_mean(forget, SPLITS)
        raise DataError(f"unknown split '{forget}'", "forget", fix)
    return forget, request.retain or f"retain_{100 - int(share[1])}"
