"""Shows the progress and remaining time of a single step; silent when not on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(doing: str) -> Iterator[Callable[..., None]]:
    """Shows one line; yields a function to call with (done, in all, and anything more)."""
    console = Console(stderr=True)
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        line = shown.add_task(doing, total=None)

        def advance(done: int, total: int, *_: object) -> None:
            shown.update(line, completed=done, total=total)

        yield advance


@contextmanager
def stepwise() -> Iterator[Callable[[str, int, int], None]]:
    """Shows what is done, one line a step; silent when not on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        line = shown.add_task("", total=None)

        def advance(doing: str, done: int, total: int) -> None:
            shown.update(line, description=doing, completed=done, total=total)

        yield advance
