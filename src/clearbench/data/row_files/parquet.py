"""Rows in Parquet, with images as paths or as encoded bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clearbench.data.row_file import Line, RowFile
from clearbench.data.tables import parquet_lines


class Parquet(RowFile, name="Parquet"):
    """Parquet as `datasets` and pandas write it."""

    suffixes = (".parquet",)
    position = 0

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether it begins as Parquet, or is called so."""
        return head.startswith(b"PAR1") or path.suffix.lower() in self.suffixes

    def lines(self, path: Path) -> Iterator[tuple[int | str, Line | str]]:
        """Yields every row, counted from 0."""
        return parquet_lines(path)
