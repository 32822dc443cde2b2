"""Source of own rows in JSONL files."""

from __future__ import annotations

from clearbench.data.dataset import Dataset
from clearbench.data.jsonl import read_own_rows
from clearbench.data.sources.base import DatasetSource, Request, last_forgotten
from clearbench.errors import DataError

FORGET = "forget.jsonl"


class OwnRows(DatasetSource, name="ROWS.jsonl"):
    """Loads a JSONL file, or a folder with `forget.jsonl` and `retain.jsonl`."""

    shows = "own rows: a JSONL file whose rows name their split, or a folder with forget.jsonl"
    position = 20

    def recognises(self, request: Request) -> bool:
        """Whether the source is a JSONL file, or a folder with rows to forget."""
        return request.path.suffix == ".jsonl" or (request.path / FORGET).is_file()

    def load(self, request: Request) -> Dataset:
        """Reads the rows; a number of people to forget means the last ones."""
        named = next((n for n in (request.forget, request.retain) if isinstance(n, str)), None)
        if named is not None:
            fix = "name the split in every row, or give a number of people to forget"
            raise DataError(f"own rows have no split '{named}'", request.source, fix)
        if not request.path.exists():
            raise DataError("there is no such file", request.source, "check the path")
        dataset = read_own_rows(request.path)
        if not any(dataset.all_rows()):
            raise DataError("there are no rows in it", request.source, "give a question a line")
        return dataset if request.forget is None else last_forgotten(dataset, request.forget)
