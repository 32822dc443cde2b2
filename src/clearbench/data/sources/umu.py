"""Source of UMU-Bench as published: the hub's, its cache, or a folder with the same files."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten, refuse_people
from clearbench.data.sources.mllmu import splits_of
from clearbench.data.umu import is_umu, read_umu


class Umu(DatasetSource, name="linbojunzi/UMU-bench"):
    """Loads fictitious and real people whose questions are asked with and without a picture."""

    shows = "UMU-Bench in its published layout: hub, its cache, or a folder like it"
    position = 81

    def recognises(self, request: Request) -> bool:
        """Whether it is called by its name, or a folder has UMU-Bench's columns."""
        return request.source == self.name or (request.path.is_dir() and is_umu(request.tables))

    def load(self, request: Request) -> Dataset:
        """Reads the people of a forget split, and those of the retain split that goes with it."""
        refuse_people(request)
        dataset = read_umu(request.tables, *splits_of(request))
        count = request.forget if isinstance(request.forget, int) else None
        return dataset if count is None else last_forgotten(dataset, count)
