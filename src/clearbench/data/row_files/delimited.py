"""Rows in delimited text: a line of column names, then a record per row."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from clearbench.data.row_file import Line, RowFile, unreadable
from clearbench.data.row_form import field_name, forms_of
from clearbench.data.text_file import read_text
from clearbench.errors import DataError

_NAMES = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}
_DELIMITERS = tuple(_NAMES)
#: Letters of a first line that a message shows.
_SHOWN = 60
_QUOTES = ('"', "'")
#: Columns whose cells are text, whatever they look like.
_TEXTS = (
    *("question", "answer", "instruction", "input", "output", "caption", "name"),
    *("paraphrased_question", "paraphrased_answer", "paraphrased_caption"),
)
#: Line and cells of each record, or what is wrong with it.
Records = list[tuple[int, list[str] | str]]


class Delimited(RowFile, name="CSV or TSV"):
    """Comma, tab, semicolon or bar between cells; the header tells which."""

    suffixes = (".csv", ".tsv", ".txt")
    position = 99

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether it is text at all; others have been tried before."""
        return True

    def lines(self, path: Path) -> Iterator[tuple[int | str, Line | str]]:
        """Yields every record under the line on which it begins; empty cells are left out."""
        text = read_text(path).lstrip("\n")
        skipped = read_text(path).count("\n") - text.count("\n")
        if text.lower().startswith("sep="):  # a spreadsheet's hint to itself
            text, skipped = text.partition("\n")[2], skipped + 1
        header, records, delimiter = _records(text, path)
        filled = [(n, c) for n, c in records if isinstance(c, str) or any(map(str.strip, c))]
        _check_delimiter(header, [cells for _, cells in filled], delimiter, path)
        for number, cells in filled:
            fields = cells if isinstance(cells, str) else _fields(header, cells, delimiter)
            yield skipped + number, fields


def _records(text: str, path: Path) -> tuple[list[str], Records, str]:
    """Returns column names, records and the delimiter, with the quote by which they are whole."""
    found: list[tuple[list[str], Records, str]] = []
    for delimiter, quote in product(_DELIMITERS, _QUOTES[: 1 if _QUOTES[0] in text else 2]):
        records = list(_parsed(text, delimiter, quote))
        first = records[0][1] if records else []
        header = [field_name(cell) for cell in first] if isinstance(first, list) else []
        if forms_of(dict.fromkeys(header, "")):
            found.append((header, records[1:], delimiter))
    if not found:
        raise unreadable(path, _instead(text))
    whole = (each for each in found if all(len(cells) <= len(each[0]) for _, cells in each[1]))
    return next(whole, found[0])


def _check_delimiter(
    header: list[str], records: list[list[str] | str], delimiter: str, path: Path
) -> None:
    """Refuses a file whose first line has another delimiter than all that follow.

    Raises:
        DataError: Names both delimiters.
    """
    others = {
        "" if isinstance(cells, str) else _other_delimiter(header, cells, delimiter)
        for cells in records
    }
    if len(others) == 1 and (other := others.pop()):
        what = f"the first line has {_NAMES[delimiter]} between names, "
        what += f"all others have {_NAMES[other]} between cells"
        raise DataError(what, str(path), "write the same between names and between cells")


def _other_delimiter(header: list[str], cells: list[str], delimiter: str) -> str:
    """Finds what parts the cells of a record that has only one; empty where nothing else does."""
    if len(cells) > 1 or forms_of(dict.fromkeys(header[:1], cells[0])):
        return ""
    parted = (d for d in _DELIMITERS if d != delimiter and cells[0].count(d) >= len(header) - 1 > 0)
    return next(parted, "")


def _instead(text: str) -> str:
    """Says what the first line of a text is that names no columns of rows."""
    line = text.partition("\n")[0]
    shown = repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")
    if forms_of(dict.fromkeys(map(field_name, re.split(r"\W+", line)), "")):
        return f": in its first line, {shown}, no comma, tab, semicolon or bar parts the columns"
    return f": its first line names no columns of rows: {shown}"


def _parsed(text: str, delimiter: str, quote: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yields the line on which each record begins, and its cells or what is wrong with it."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True
    )
    before = 0
    try:
        for cells in reader:
            yield before + 1, cells
            before = reader.line_num
    except csv.Error as error:
        yield before + 1, f"is no record of cells: {error}"


def _fields(header: list[str], cells: list[str], delimiter: str) -> Line | str:
    if other := _other_delimiter(header, cells, delimiter):
        return (
            f"has {_NAMES[other]} between cells, and the first line {_NAMES[delimiter]} between "
            "names; write the same"
        )
    if len(cells) > len(header):
        return (
            f"has {len(cells)} cells under {len(header)} names; put quotes round text that holds "
            "the delimiter"
        )
    if len(set(header)) < len(header):
        twice = ", ".join(sorted({name for name in header if header.count(name) > 1}))
        return f"two columns have the same name: {twice or 'none at all'}"
    filled = {
        name: cell for name, cell in zip(header, cells, strict=False) if cell.strip() and name
    }
    return {name: cell if name in _TEXTS else _value(cell) for name, cell in filled.items()}


def _value(cell: str) -> Any:
    """Reads a cell that is a JSON list, such as wrong answers; others are text."""
    if cell.startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell
