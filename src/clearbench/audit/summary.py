"""Prints an audit in the terminal: the word, what it rests on, what cannot be concluded."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from clearbench.audit.answers import print_answers
from clearbench.audit.html import SPEAKERS
from clearbench.audit.schema import Audit
from clearbench.report.summary import plain

#: Doubts that are printed; the page has all.
_DOUBTS = 8


def print_audit(audit: Audit, console: Console, page: Path | None = None) -> None:
    """Prints an audit; plain text where the console is no terminal.

    Args:
        audit: What was found.
        console: Console to print on.
        page: Path of the page, if it was written.
    """
    console.print()
    console.print(Text(audit.conclusion.word, style="bold"))
    console.print(Text(audit.conclusion.sentence))
    for line in audit.conclusion.because:
        console.print(_item(line))
    if audit.doubts:
        console.print(Padding(Text("Caution: this is doubtful", style="bold"), (1, 0, 0, 0)))
        more = len(audit.doubts) - _DOUBTS
        for line in (*audit.doubts[:_DOUBTS], *([f"and {more} more"] if more > 0 else ())):
            console.print(_item(line))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in audit.findings:
        grid.add_row(Text(finding.topic), Text(f"{finding.word}. {plain(finding.sentence, None)}"))
    console.print(Padding(grid, (1, 0, 0, 0)))
    print_answers(console, audit.answers, SPEAKERS[:2])
    console.print()
    console.print(Text("What cannot be concluded", style="bold"))
    for line in audit.open:
        console.print(_item(line))
    if page is not None:
        console.print()
        where = Text("Report: ", style="bold")
        console.print(where.append(plain(str(page)), style="cyan"), soft_wrap=True)


def _item(line: str) -> Padding:
    return Padding(Text(f"- {plain(line, None)}", style="dim"), (0, 0, 0, 2))
