"""Source of own rows in files."""

from __future__ import annotations

from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.data.jsonl import own_rows
from clearbench.data.row_file import suffixes
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten
from clearbench.errors import DataError


class OwnRows(DatasetSource, name="ROWS.jsonl"):
    """Loads a file of rows, or a folder with `forget.jsonl` and `retain.jsonl`."""

    shows = "own rows in JSON, CSV or Parquet: a file whose rows name their split, or a folder"
    position = 20
    takes_images = True

    def recognises(self, request: Request) -> bool:
        """Whether the source is called as a file of rows, or is a folder with rows to forget."""
        if request.path.is_dir():
            return any(map(_holds_forget, request.path.iterdir()))
        return request.path.suffix.lower() in suffixes()

    def files(self, request: Request) -> tuple[str | Path, ...]:
        """Lists none: rows name pictures anywhere in a folder, so that rows are compared."""
        return ()

    def load(self, request: Request) -> Dataset:
        """Reads the rows; a number of people to forget means the last ones."""
        named = next((n for n in (request.forget, request.retain) if isinstance(n, str)), None)
        if named is not None:
            fix = "name the split in every row, or give a number of people to forget"
            raise DataError(f"own rows have no split '{named}'", request.source, fix)
        dataset = own_rows(request.path, request.images)
        if isinstance(request.forget, int):
            return last_forgotten(dataset, request.forget)
        return dataset


def _holds_forget(path: Path) -> bool:
    """Whether a file is called `forget`, in whatever format: one that is not read is refused."""
    return path.name.partition(".")[0].casefold() == "forget" and path.is_file()
