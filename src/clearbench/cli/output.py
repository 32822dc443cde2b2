"""Prints lines and tables, whole in a pipe and fitted to a terminal; checks folders to write to."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import typer
from rich.cells import cell_len

from clearbench.errors import StorageError

_GAP = "  "
#: Columns of a terminal that cells on several lines have at least.
LEAST = 40


def say(*lines: str, err: bool = False) -> None:
    """Prints lines as they are, to the output or to the errors: no markup, no wrapping."""
    for line in lines:
        typer.echo(line, err=err)


def terminal_width() -> int | None:
    """Returns the columns of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    dropped_first: Sequence[str] = (),
    wrapped: str = "",
    all_of_it: str = "pipe it through `cat`",
) -> None:
    """Prints a table, a line a row, in aligned columns; no cell is ever cut.

    On a terminal that is too narrow, columns are left out, and named below the table, and the cells
    of one column may go over several lines.

    Args:
        columns: Headings.
        rows: Cells as text; line breaks become spaces.
        dropped_first: Columns that may be left out, the least important first.
        wrapped: Column whose cells may go over several lines, of which it keeps `LEAST` columns.
        all_of_it: Words for how to see what was left out.
    """
    flat = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [
        max(cell_len(cell) for cell in (heading, *cells))
        for heading, *cells in zip(columns, *flat, strict=True)
    ]
    shown, width = list(range(len(columns))), terminal_width()
    broken = columns.index(wrapped) if wrapped in columns else None
    least = [min(w, LEAST) if k == broken else w for k, w in enumerate(widths)]
    left_out: list[str] = []
    for name in dropped_first:
        if width is None or _wide(least[k] for k in shown) <= width:
            break
        if name in columns:
            shown.remove(columns.index(name))
            left_out.append(name)
    if broken is not None and width is not None:
        others = _wide(widths[k] if k != broken else 0 for k in shown)
        widths[broken] = min(widths[broken], max(least[broken], width - others))
    for cells in (list(columns), *flat):
        parts = [[cell] for cell in cells]
        if broken is not None and width is not None:
            parts[broken] = textwrap.wrap(cells[broken], widths[broken], break_long_words=False)
        for line in zip_longest(*(parts[k] for k in shown), fillvalue=""):
            places = zip(shown, line, strict=True)
            padded = (cell + " " * (widths[k] - cell_len(cell)) for k, cell in places)
            typer.echo(_GAP.join(padded).rstrip())
    if left_out:
        listed = ", ".join(sorted(left_out, key=list(columns).index))
        note = f"(no room for: {listed}; to see them: {all_of_it})"
        say(*textwrap.wrap(note, width or len(note)))


def _wide(widths: Iterable[int]) -> int:
    """Computes the columns that cells and the gaps between them take."""
    return sum(width + len(_GAP) for width in widths) - len(_GAP)


def show_paragraphs(paragraphs: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Prints titles with indented lines below them; wrapped on a terminal, whole elsewhere."""
    width = terminal_width()
    for title, lines in paragraphs:
        say(title)
        for line in lines:
            if width is None:
                say(f"  {line}")
            else:
                say(*textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="      "))
        say("")


def check_writable(out: Path) -> None:
    """Refuses a folder that cannot be written, before any work.

    Raises:
        StorageError: It is a file, or lies below one, or the system forbids to write there.
    """
    fix = "choose another --out"
    try:
        place = next(path for path in (out, *out.absolute().parents) if path.exists())
    except OSError as error:
        raise StorageError(f"no such folder: {error.strerror}", str(out), fix) from error
    if not place.is_dir():
        raise StorageError("there is a file of this name", str(place), fix)
    if not os.access(place, os.W_OK | os.X_OK):
        raise StorageError("this folder cannot be written", str(place), fix)
