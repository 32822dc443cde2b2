"""Progress in a pipe: a line when a stage begins and when it ends, and how long is left."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from rich.console import Console

from clearbench.runs.display import BarDisplay, LineDisplay, display_for, duration
from clearbench.runs.stage import Stage, StageInputs, StageOutcome, Status


class Nothing(Stage):
    """A stage that writes nothing."""

    kind = "nothing"
    label = "at-all"
    settings: ClassVar[dict[str, Any]] = {}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        return "ok"


@dataclass(frozen=True)
class Named(Nothing):
    """One of several such stages."""

    label: str = ""


def test_a_run_in_a_pipe_says_every_stage(
    clearbench: Callable[..., Any], small_recipe: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small_recipe))
    words = ("run", tmp_path / "small.yaml", "--out", tmp_path / "out", "--workers", 1)
    lines = clearbench(*words).stdout.splitlines()
    begun = [line.split()[1:3] for line in lines if line.startswith("begin ")]
    ended = [line for line in lines if line.startswith("end ")]
    assert len(begun) == len(ended) == 9 and [line.split()[1:3] for line in ended] == begun
    assert ["unlearn", "language-npo"] in begun and ["score", "language-npo"] in begun
    pattern = re.compile(r"\((\d+ min )?\d+ s; (\d) of 9 done, about .* left\)$")
    assert [int(pattern.search(line)[2]) for line in ended] == list(range(1, 10))  # type: ignore[index]
    again = clearbench(*words).stdout
    assert "begin" not in again, "nothing is made twice"


def test_lines_name_what_went_wrong_and_who_waits() -> None:
    written, stage = io.StringIO(), Nothing()
    display = display_for(Console(file=written, width=200), [stage], 1)
    assert isinstance(display, LineDisplay)
    display.begin(stage)
    display.wait(stage)
    display.wait(stage)
    display.begin(stage)
    display.end(stage, StageOutcome("failed", "no rows"))
    assert written.getvalue().splitlines() == [
        "begin nothing at-all",
        "wait  nothing at-all: another process is making it",
        "end   nothing at-all: failed: no rows (0 s; 1 of 1 done, about 0 s left)",
    ]


def test_long_stages_say_how_far_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    written, stage, now = io.StringIO(), Nothing(), [0.0]
    monkeypatch.setattr("clearbench.runs.display.time.monotonic", lambda: now[0])
    display = display_for(Console(file=written, width=200), [stage], 1)
    display.begin(stage)
    for now[0], done in ((1.0, 0), (59.0, 1), (100.0, 10), (130.0, 12), (170.0, 20)):
        display.advance(stage, "training", done, 40)
    assert written.getvalue().splitlines() == [
        "begin nothing at-all",
        "      nothing at-all: training, 10 of 40, about 5 min 0 s left",
        "      nothing at-all: training, 20 of 40, about 2 min 50 s left",
    ]


def test_a_terminal_has_bars() -> None:
    written, stage = io.StringIO(), Nothing()
    console = Console(file=written, width=200, force_terminal=True)
    with display_for(console, [stage], 1) as display:
        assert isinstance(display, BarDisplay)
        display.begin(stage)
        display.advance(stage, "training", 1, 2)
        display.wait(stage)
        display.end(stage, StageOutcome("diverged", "not finite"))
    assert "nothing at-all: diverged: not finite" in written.getvalue()
    assert "all stages" in written.getvalue()


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.6, 75)] == ["0 s", "1 min 0 s", "1 min 15 s"]


class Heavy(Named):
    """A stage of another kind that costs ten times as much."""

    kind: ClassVar[str] = "heavy"

    @property
    def weight(self) -> float:
        return 10.0


def test_a_kind_not_seen_yet_is_as_long_as_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds for weight 1: twenty for the heavy one, two for the light one."""
    now, written = iter([0.0, 2.0]), io.StringIO()
    monkeypatch.setattr("clearbench.runs.display.time.monotonic", lambda: next(now))
    stages = [Named("a"), Named("b"), Heavy("c")]
    display = display_for(Console(file=written, width=200), stages, 1)
    display.begin(stages[0])
    display.end(stages[0], StageOutcome("ok"))
    assert written.getvalue().splitlines()[-1].endswith("(2 s; 1 of 3 done, about 22 s left)")


def test_what_is_left_is_as_long_as_what_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds for the first of three stages leave twenty, or ten with two workers."""
    for workers, left in ((1, "20 s"), (2, "10 s")):
        now, written = iter([0.0, 10.0]), io.StringIO()
        monkeypatch.setattr("clearbench.runs.display.time.monotonic", lambda now=now: next(now))
        stages = [Named(label) for label in "abc"]
        display = display_for(Console(file=written, width=200), stages, workers)
        display.begin(stages[0])
        display.end(stages[0], StageOutcome("ok"))
        assert (
            written.getvalue().splitlines()[-1].endswith(f"(10 s; 1 of 3 done, about {left} left)")
        )
