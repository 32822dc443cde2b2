"""A planned run whose stages are made in this process, one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clearbench.runs.cache import WorkerCache
from clearbench.runs.making import make_stage
from clearbench.runs.plan import PlannedRow
from clearbench.runs.recipe import parse_recipe
from clearbench.runs.run import plan_run
from clearbench.runs.run_plan import RunPlan
from clearbench.runs.stage import OnProgress, Stage, StageInputs, read_outcome, with_parents


@dataclass(frozen=True)
class Made:
    """A plan, and what its stages are made with."""

    planned: RunPlan
    inputs: StageInputs

    def make(self, stage: Stage, on_progress: OnProgress = lambda *_: None) -> dict[str, Any]:
        """Makes a stage and all it starts from; returns how it ended."""
        for wanted in with_parents([stage]).values():
            make_stage(wanted, self.planned.store, self.inputs.cache, on_progress)
        return read_outcome(self.folder(stage))

    def folder(self, stage: Stage) -> Path:
        return self.planned.store.folder(stage.key)

    def row(self, method: str, family: int = 0) -> PlannedRow:
        rows = self.planned.families[family].rows
        return next(row for row in rows if row.method == method)


Planner = Callable[[dict[str, Any], Path], Made]


@pytest.fixture(scope="session")
def planner() -> Planner:
    """From a recipe's content and a folder to its plan."""

    def plan(content: dict[str, Any], out: Path) -> Made:
        planned = plan_run(parse_recipe(content, "test"), out)
        return Made(planned, StageInputs(planned.store, WorkerCache(), out / "scratch"))

    return plan
