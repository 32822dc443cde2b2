"""Sources of MUSE as published: the hub's, its cache, or a folder with the same files."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.muse import is_muse, read_muse
from clearbench.data.sources.base import DatasetSource, Request, refuse_people
from clearbench.errors import DataError

#: Splits of `raw` that the authors forget, and train on besides to keep what is known.
FORGET, RETAIN = "forget", "retain1"


class MuseNews(DatasetSource, name="muse-bench/MUSE-News"):
    """Loads news articles and questions about them."""

    shows = "MUSE in its published layout, news: hub, its cache, or a folder like it"
    position = 83

    def recognises(self, request: Request) -> bool:
        """Whether it is called by its name, or a folder has MUSE's configurations."""
        return request.source == self.name or (request.path.is_dir() and is_muse(request.tables))

    def load(self, request: Request) -> Dataset:
        """Reads the texts of a forget and of a retain split, and what is measured of them."""
        refuse_people(request)
        if isinstance(request.forget, int):
            what = "MUSE has texts and no people: they cannot be counted"
            raise DataError(what, f"forget = {request.forget}", f"give a split, such as '{FORGET}'")
        return read_muse(request.tables, request.forget or FORGET, request.retain or RETAIN)


class MuseBooks(MuseNews, name="muse-bench/MUSE-Books"):
    """Loads books and questions about them."""

    shows = "MUSE in its published layout, books: hub or its cache"
    position = 84

    def recognises(self, request: Request) -> bool:
        """Whether it is called by its name."""
        return request.source == self.name
