"""Source of CLEAR as published: the hub's, its cache, or a folder with the same files."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.published import TOFU, is_clear, read_clear
from clearbench.data.sources.base import DatasetSource, Request, fewer
from clearbench.data.tables import Tables

#: The largest published forget split: a number of people is counted from its end.
LARGEST = "forget10"


class Clear(DatasetSource, name="therem/CLEAR"):
    """Loads portraits and questions of 200 fictitious authors."""

    shows = "CLEAR as published: hub, its cache, or a folder like it"
    position = 90

    def recognises(self, request: Request) -> bool:
        """Whether the source has CLEAR's configurations."""
        return is_clear(request.tables)

    def load(self, request: Request) -> Dataset:
        """Reads images from CLEAR and questions from TOFU."""
        text = request.text
        if text is None and request.tables.remote:
            text = TOFU
        split = request.forget if isinstance(request.forget, str) else LARGEST
        tables = None if text is None else Tables(text)
        dataset = read_clear(request.tables, tables, split, request.retain)
        count = request.forget if isinstance(request.forget, int) else None
        return fewer(dataset, count, request.people)
