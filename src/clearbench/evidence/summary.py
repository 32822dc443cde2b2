"""Prints evidence in the terminal: what was forgotten, what must be known, what is not shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from clearbench.audit.answers import print_answers
from clearbench.evidence.html import SPEAKERS
from clearbench.evidence.schema import Evidence
from clearbench.report.summary import plain


def print_evidence(evidence: Evidence, console: Console, folder: Path, page: Path) -> None:
    """Prints evidence; plain text where the console is no terminal.

    Args:
        evidence: What was found.
        console: Console to print on.
        folder: Folder of the model.
        page: Path of the page.
    """
    console.print()
    console.print(Text(evidence.word, style="bold"))
    _items(console, evidence.statement)
    if evidence.warnings:
        _heading(console, "Warnings")
        _items(console, (warning.sentence for warning in evidence.warnings))
    print_answers(console, evidence.audit.answers, SPEAKERS)
    _heading(console, "What is not shown")
    _items(console, evidence.not_shown)
    console.print()
    beside = "" if evidence.adapter is None else f", its adapter alone: {evidence.adapter}"
    for name, text in (("Model: ", f"{folder}{beside}"), ("Evidence: ", str(page))):
        console.print(Text(name, style="bold").append(plain(text), style="cyan"), soft_wrap=True)


def _heading(console: Console, text: str) -> None:
    console.print(Padding(Text(text, style="bold"), (1, 0, 0, 0)))


def _items(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(Padding(Text(f"- {plain(line, None)}"), (0, 0, 0, 2)))
