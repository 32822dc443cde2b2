"""Rows in JSON: lines, arrays, or an object that holds an array."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clearbench.data.json_rows import objects
from clearbench.data.row_file import Line, RowFile
from clearbench.data.text_file import read_text


class JsonText(RowFile, name="JSON (lines or arrays)"):
    """JSON of any layout."""

    suffixes = (".jsonl", ".json", ".ndjson")
    position = 1

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether it is called so, or begins as an object or array."""
        first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        return first in (b"{", b"[") or path.suffix.lower() in self.suffixes

    def lines(self, path: Path) -> Iterator[tuple[int | str, Line | str]]:
        """Yields every object."""
        return objects(read_text(path))
