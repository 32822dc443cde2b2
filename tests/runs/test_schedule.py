"""The order in which stages are handed to workers, and what follows from one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

from clearbench.runs import execute
from clearbench.runs.display import LineDisplay
from clearbench.runs.execute import Runtime, _Schedule
from clearbench.runs.stage import Stage, StageInputs, StageOutcome, Status, with_parents
from clearbench.runs.worker import Ended


@dataclass(frozen=True)
class Made(Stage):
    """A stage of a test, which ends as it says."""

    kind: ClassVar[str] = "made"

    name: str
    starts: tuple[Stage, ...] = ()
    heavy: float = 1.0
    ends: Status = "ok"

    @property
    def label(self) -> str:
        return self.name

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    @property
    def parents(self) -> Mapping[str, Stage]:
        return {parent.label: parent for parent in self.starts}

    @property
    def weight(self) -> float:
        return self.heavy

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        return self.ends


class FakeWorker:
    """A worker that ends its stage at once; it notes the order in which stages begin and end."""

    begun: ClassVar[list[str]] = []
    ended: ClassVar[dict[str, int]] = {}

    def __init__(self, *_: object) -> None:
        self.stage: Made | None = None
        self.connection = self

    def start(self, stage: Made) -> None:
        self.stage = stage
        self.begun.append(stage.name)

    def receive(self) -> Ended:
        ends = self.stage.ends if self.stage else "ok"
        if self.stage:
            self.ended[self.stage.name] = len(self.begun)
        self.stage = None
        return Ended(StageOutcome(ends, "why" if ends != "ok" else ""))

    def stop(self) -> None:
        """Nothing to stop."""


@pytest.fixture
def scheduled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs stages with fake workers; returns the order of their beginnings and their outcomes."""
    monkeypatch.setattr(execute, "Worker", FakeWorker)
    monkeypatch.setattr(
        execute.multiprocessing.connection, "wait", lambda found, timeout: [*found][:1]
    )
    monkeypatch.setattr(FakeWorker, "begun", [])
    monkeypatch.setattr(FakeWorker, "ended", {})

    def run(*stages: Stage, workers: int = 1) -> tuple[list[str], dict[str, StageOutcome]]:
        wanted = [*with_parents(stages).values()]
        outcomes: dict[str, StageOutcome] = {}
        display = LineDisplay(Console(quiet=True), wanted, workers)
        _Schedule(tmp_path, [*wanted], outcomes, Runtime(workers=workers), display).run()
        return FakeWorker.begun, {stage.label: outcomes[stage.key] for stage in wanted}

    return run


@pytest.mark.parametrize("workers", [1, 2])
def test_the_longest_chain_begins_first_and_parents_before_children(
    scheduled: Any, workers: int
) -> None:
    first, second = Made("first"), Made("second", heavy=2.0)
    child = Made("child", (first, second), heavy=9.0)
    alone = Made("alone", heavy=4.0)
    begun, outcomes = scheduled(alone, child, workers=workers)
    assert begun[:2] == ["second", "first"] and {*begun} == {"first", "second", "child", "alone"}
    assert begun.index("child") > 1
    assert all(outcome.status == "ok" for outcome in outcomes.values())


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_a_stage_begins_after_all_that_it_starts_from_have_ended(
    scheduled: Any, workers: int
) -> None:
    """However many workers are idle, and whichever parent ends last."""
    first, second, third = Made("first"), Made("second"), Made("third")
    stages = {
        each.name: each
        for each in (
            Made("of first", (first,), heavy=9.0),
            Made("of two", (second, first), heavy=9.0),
            Made("of three", (first, second, third)),
        )
    }
    stages["of both"] = Made("of both", (stages["of first"], stages["of two"]))
    begun, outcomes = scheduled(*stages.values(), workers=workers)
    assert len(begun) == len({*begun}) == 7
    assert all(outcome.status == "ok" for outcome in outcomes.values())
    for stage in stages.values():
        for parent in stage.parents:
            assert FakeWorker.ended[parent] <= begun.index(stage.name)


@pytest.mark.parametrize("ends", ["failed", "diverged"])
def test_what_starts_from_a_stage_that_did_not_end_well_is_left_out(
    scheduled: Any, ends: Status
) -> None:
    bad = Made("bad", ends=ends)
    child = Made("child", (bad,))
    begun, outcomes = scheduled(Made("grandchild", (child,)), Made("other"))
    assert {*begun} == {"bad", "other"} and outcomes["other"].status == "ok"
    assert outcomes["bad"].status == ends
    assert outcomes["child"].status == outcomes["grandchild"].status == "failed"
    assert f"it starts from bad, which is {ends}: why" in outcomes["child"].reason
