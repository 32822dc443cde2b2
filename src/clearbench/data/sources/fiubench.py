"""Source of FIUBench as published: a folder with its files and unpacked pictures."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.fiubench import is_fiubench, read_fiubench
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten, refuse_people
from clearbench.errors import DataError

#: Forget split that the authors evaluate.
DEFAULT = "forget5"


class FiuBench(DatasetSource, name="gray311/FIUBench"):
    """Loads fictitious faces with questions about private facts."""

    shows = "FIUBench in its published layout: a folder with its files and unpacked pictures"
    position = 82

    def recognises(self, request: Request) -> bool:
        """Whether it is called by its name, or a folder has FIUBench's files."""
        return request.source == self.name or is_fiubench(request.path)

    def load(self, request: Request) -> Dataset:
        """Reads the people of a forget split, and those who are in none."""
        if not request.path.is_dir():
            raise DataError(
                "FIUBench's pictures are in an archive on the hub, which is not unpacked here",
                request.source,
                f"hf download {self.name} --repo-type dataset --local-dir FOLDER, unpack the "
                "archive of pictures in it, and give FOLDER",
            )
        refuse_people(request)
        count = request.forget if isinstance(request.forget, int) else None
        forget = request.forget if isinstance(request.forget, str) else DEFAULT
        tables, retain = request.tables, request.retain
        dataset = read_fiubench(tables, forget, retain, all_measured=count is not None)
        return dataset if count is None else last_forgotten(dataset, count)
