"""Source of TOFU as published: the hub's, its cache, or a folder with the same files."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.sources.base import DatasetSource, Request, fewer
from clearbench.data.tofu import is_tofu, read_tofu

#: The largest published forget split: a number of people is counted from its end.
LARGEST = "forget10"


class Tofu(DatasetSource, name="locuslab/TOFU"):
    """Loads questions about 200 fictitious authors."""

    shows = "TOFU as published: hub, its cache, or a folder like it"
    position = 91

    def recognises(self, request: Request) -> bool:
        """Whether the source has TOFU's whole text."""
        return is_tofu(request.tables)

    def load(self, request: Request) -> Dataset:
        """Reads the questions."""
        split = request.forget if isinstance(request.forget, str) else LARGEST
        count = request.forget if isinstance(request.forget, int) else None
        counted = count is not None or request.people is not None
        dataset = read_tofu(request.tables, split, request.retain, by_number=counted)
        return fewer(dataset, count, request.people)
