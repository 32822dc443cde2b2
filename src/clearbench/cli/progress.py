"""Shows the progress and remaining time of a single step.

Where the errors go to no terminal, losses of training are said, a few in all, and of other work
a line every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: Losses that are looked at in a training, besides the first and the last.
LOOKS = 10
#: Seconds between two lines about what is done, where there is no terminal.
SECONDS = 10.0


@contextmanager
def progress(doing: str) -> Iterator[Callable[..., None]]:
    """Shows one line; yields a function to call with (done, in all, and anything more)."""
    console, said = Console(stderr=True), NowAndThen()
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        line = shown.add_task(doing, total=None)

        def advance(done: int, total: int, *_: object) -> None:
            shown.update(line, completed=done, total=total)
            if not console.is_terminal:
                said(f"{doing} ({done} of {total})")

        yield advance


class Losses:
    """Losses of some steps of a training, each of one batch; to look at one waits for the device.

    Args:
        show: Function called with (steps done, steps in all, the last loss that was looked at).
    """

    def __init__(self, show: Callable[[int, int, float], None]) -> None:
        self.seen: dict[int, float] = {}
        self._show = show

    def __call__(self, done: int, total: int, values: Mapping[str, float]) -> None:
        """Looks at the first and the last step, and at every tenth part in between."""
        if not self.seen or done == total or done % max(1, total // LOOKS) == 0:
            self.seen[done] = values["loss"]
        self._show(done, total, list(self.seen.values())[-1])

    def __str__(self) -> str:
        first, *_ = steps = list(self.seen)
        before, after = self.seen[first], self.seen[steps[-1]]
        return f"loss of a batch: {before:.3f} at step {first}, {after:.3f} at step {steps[-1]}"


class NowAndThen:
    """Says a line where the last one was said long enough ago."""

    def __init__(self) -> None:
        self._before = time.monotonic()

    def __call__(self, line: str) -> None:
        """Says the line, or leaves it out."""
        now = time.monotonic()
        if now - self._before >= SECONDS:
            typer.echo(line, err=True)
            self._before = now


@contextmanager
def training(doing: str) -> Iterator[Losses]:
    """Shows steps and losses of a training; yields a function to call after each step."""
    console = Console(stderr=True)
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, TextColumn("{task.description}"), console=console,
                   disable=not console.is_terminal)  # fmt: skip
    with bar as shown:
        line = shown.add_task("", total=None)

        def show(done: int, total: int, loss: float) -> None:
            shown.update(line, completed=done, total=total, description=f"loss {loss:.3f}")
            if not console.is_terminal and losses.seen.get(done) == loss:
                typer.echo(f"{doing}: step {done} of {total}, loss {loss:.3f}", err=True)

        losses = Losses(show)
        yield losses


@contextmanager
def stepwise() -> Iterator[Callable[[str, int, int], None]]:
    """Shows what is done, one line a step; without a terminal a line of it now and then."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    said = NowAndThen()
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        line = shown.add_task("", total=None)

        def advance(doing: str, done: int, total: int) -> None:
            shown.update(line, description=doing, completed=done, total=total)
            if not console.is_terminal:
                said(f"{doing} ({done} of {total})")

        yield advance
