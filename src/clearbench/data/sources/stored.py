"""Source of data folders of runs."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten
from clearbench.data.store_folder import is_rows_folder, read_rows
from clearbench.errors import DataError


class StoredRows(DatasetSource, name="STAGE"):
    """Loads a folder that `write_rows` wrote."""

    shows = "the data folder of a run, with rows of any modality"
    position = 15

    def recognises(self, request: Request) -> bool:
        """Whether the folder has the files that `write_rows` writes."""
        return is_rows_folder(request.path)

    def load(self, request: Request) -> Dataset:
        """Reads the folder; a number of people to forget divides the same people anew."""
        named = next((n for n in (request.forget, request.retain) if isinstance(n, str)), None)
        if named is not None:
            fix = "leave it out, or give a number of people to forget"
            raise DataError(f"no split '{named}' in a run's data", request.source, fix)
        dataset = read_rows(request.path)
        return dataset if request.forget is None else last_forgotten(dataset, request.forget)
