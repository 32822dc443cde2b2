"""Shows the progress of a run: bars on a terminal, a line per beginning and end elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from clearbench.runs.stage import Stage, StageOutcome

#: Seconds between two lines about a stage that goes on, where there is no terminal.
SECONDS = 60.0


class Display(ABC):
    """Shows every stage that begins, goes on and ends.

    Args:
        console: Console to write to.
        stages: Stages that are left to make.
        workers: Number of processes that make them.
    """

    def __init__(self, console: Console, stages: Sequence[Stage], workers: int) -> None:
        self._console = console
        self._stages = {stage.key: stage for stage in stages}
        self._workers = workers
        self._total = sum(stage.weight for stage in stages)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def begin(self, stage: Stage) -> None:
        """Shows that a worker begins a stage."""

    def advance(self, stage: Stage, doing: str, done: int, total: int) -> None:
        """Shows that a stage goes on."""
        return None

    def wait(self, stage: Stage) -> None:
        """Shows that another process is making a stage."""
        return None

    @abstractmethod
    def end(self, stage: Stage, outcome: StageOutcome) -> None:
        """Shows that a stage has ended, or cannot be made."""

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class BarDisplay(Display):
    """Shows a bar for every stage that is being made, and one for all."""

    def __init__(self, console: Console, stages: Sequence[Stage], workers: int) -> None:
        super().__init__(console, stages, workers)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Display:
        self._progress.start()
        self._all = self._progress.add_task("[bold]all stages", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, stage: Stage) -> None:
        """Adds a bar."""
        name = f"{stage.kind} {stage.label}"
        if stage.key not in self._tasks:
            self._tasks[stage.key] = self._progress.add_task(name, total=None)

    def advance(self, stage: Stage, doing: str, done: int, total: int) -> None:
        """Moves the stage's bar."""
        name = f"{stage.label}: {doing}"
        self._progress.update(self._tasks[stage.key], description=name, completed=done, total=total)

    def wait(self, stage: Stage) -> None:
        """Marks the stage's bar as waiting for another process."""
        self.advance(stage, "another process is making it", 0, 1)

    def end(self, stage: Stage, outcome: StageOutcome) -> None:
        """Removes the bar; prints a stage that did not end well."""
        if stage.key in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage.key))
        self._progress.advance(self._all, stage.weight)
        if outcome.status != "ok":
            self._say(f"{stage.kind} {stage.label}: {outcome.status}: {outcome.reason}")


class LineDisplay(Display):
    """Prints a line for every stage that begins and ends, and of long ones a line a minute."""

    def __init__(self, console: Console, stages: Sequence[Stage], workers: int) -> None:
        super().__init__(console, stages, workers)
        self._starts: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._waits: set[str] = set()
        self._times: dict[str, float] = {}

    def begin(self, stage: Stage) -> None:
        """Prints the stage's name."""
        if stage.key not in self._starts:
            self._starts[stage.key] = self._said[stage.key] = time.monotonic()
            self._say(f"begin {stage.kind} {stage.label}")

    def advance(self, stage: Stage, doing: str, done: int, total: int) -> None:
        """Prints how far the stage is, at its own pace, where its last line is a minute old."""
        now = time.monotonic()
        if done and now - self._said[stage.key] >= SECONDS:
            self._said[stage.key] = now
            left = duration((total - done) * (now - self._starts[stage.key]) / done)
            self._say(
                f"      {stage.kind} {stage.label}: {doing}, {done} of {total}, about {left} left"
            )

    def wait(self, stage: Stage) -> None:
        """Prints the stage's name, once."""
        if stage.key not in self._waits:
            self._waits.add(stage.key)
            self._say(f"wait  {stage.kind} {stage.label}: another process is making it")

    def end(self, stage: Stage, outcome: StageOutcome) -> None:
        """Prints the stage, its time, and what is left."""
        now = time.monotonic()
        took = self._times[stage.key] = now - self._starts.get(stage.key, now)
        why = "" if outcome.status == "ok" else f": {outcome.status}: {outcome.reason}"
        self._say(
            f"end   {stage.kind} {stage.label}{why} ({duration(took)}; {len(self._times)} of "
            f"{len(self._stages)} done, about {duration(self._left())} left)"
        )

    def _left(self) -> float:
        """Estimates the seconds that are left, for each weight as for ended stages of its kind."""
        seconds, weights, left = (defaultdict[str, float](float) for _ in range(3))
        for key, stage in self._stages.items():
            if key in self._times:
                seconds[stage.kind] += self._times[key]
                weights[stage.kind] += stage.weight
            else:
                left[stage.kind] += stage.weight
        usual = sum(seconds.values()) / sum(weights.values())
        pace = {kind: seconds[kind] / weights[kind] for kind in weights}
        return sum(left[kind] * pace.get(kind, usual) for kind in left) / self._workers


def duration(seconds: float) -> str:
    """Writes a time in seconds, or in minutes and seconds."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def display_for(console: Console, stages: Sequence[Stage], workers: int) -> Display:
    """Chooses bars on a terminal, else lines."""
    return (BarDisplay if console.is_terminal else LineDisplay)(console, stages, workers)


def progress_console() -> Console:
    """Chooses where progress is shown: on the terminal, or in the output that is piped."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        return Console(stderr=True)
    return Console(force_terminal=False)
