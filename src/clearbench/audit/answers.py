"""Shows answers to the same question beside each other, on a page and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from clearbench.audit.schema import AuditedAnswer
from clearbench.report.answers import marked
from clearbench.report.summary import plain

#: Answers on a page; the JSON has all.
SHOWN = 40
#: Questions that are printed with their answers.
_PRINTED = 3
#: Who answered, the style of the line, and the answer in pieces that tell the truth, or do not.
Pieces = list[tuple[str, str, tuple[tuple[str, bool], ...]]]


class Speaker(NamedTuple):
    """A model whose answers are shown: its name, the style of its lines, and its field."""

    name: str
    style: str
    field: Literal["answer", "gold", "original"]


def on_page(
    answers: Sequence[AuditedAnswer], speakers: Sequence[Speaker]
) -> list[tuple[AuditedAnswer, Pieces]]:
    """Cuts the first answers into what tells the truth, and the rest."""
    return [
        (
            answer,
            [
                (speaker.name, speaker.style, marked(text, answer.truth, answer.question))
                for speaker in speakers
                if (text := getattr(answer, speaker.field)) is not None
            ],
        )
        for answer in answers[:SHOWN]
    ]


def print_answers(
    console: Console, answers: Sequence[AuditedAnswer], speakers: Sequence[Speaker]
) -> None:
    """Prints the first questions with the truth and what each speaker says."""
    for answer in answers[:_PRINTED]:
        shown = Table.grid(padding=(0, 2))
        shown.add_column(style="dim", no_wrap=True)
        shown.add_column(overflow="fold")
        shown.add_row("question", Text(plain(answer.question), style="italic"))
        said = [(speaker.name, getattr(answer, speaker.field)) for speaker in speakers]
        for name, text in (("truth", answer.truth), *said):
            if text is not None:
                shown.add_row(name, Text(plain(text) or "(empty)"))
        console.print(Padding(shown, (1, 0, 0, 2)))
