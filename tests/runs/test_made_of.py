"""Results are found current only where all that they are made of is the same."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from clearbench.runs import made_of as making
from clearbench.runs.cache import WorkerCache
from clearbench.runs.execute import Runtime
from clearbench.runs.files import PAGE
from clearbench.runs.made_of import made_of
from clearbench.runs.making import make_stage
from clearbench.runs.recipe import Recipe, parse_recipe
from clearbench.runs.run_plan import RunPlan
from clearbench.runs.schema import DETAILS, RESULTS, Details, Results
from clearbench.runs.stage import Stage, StageInputs, Status
from clearbench.runs.store import Store
from clearbench.runs.written import current_results, write_recipe, write_results
from clearbench.storage import changed_files, seal_more

CONTENT: dict[str, Any] = {"name": "x", "models": {"language": {"teach": {"steps": 1}}}}


@dataclass(frozen=True)
class Number(Stage):
    """A stage that writes a text."""

    kind: ClassVar[str] = "number"

    name: str
    text: str = "1"

    @property
    def label(self) -> str:
        """Its name."""
        return self.name

    @property
    def settings(self) -> dict[str, Any]:
        """Its name; another text is another content under the same key."""
        return {"name": self.name}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        """Writes the text."""
        (folder / "number").write_text(self.text)
        return "ok"


def made(store: Store, *stages: Stage) -> RunPlan:
    """A plan whose stages are in a store."""
    for stage in stages:
        make_stage(stage, store, WorkerCache(), lambda doing, done, total: None)
    about = {"store": store, "data": stages[0], "stages": stages[1:], "rows": (), "bands": ()}
    return cast(RunPlan, SimpleNamespace(**about))


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(CONTENT, "test")


def test_the_hash_is_of_all_that_results_are_made_of(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, plugin = Store(tmp_path / "stages"), tmp_path / "plugin.py"
    plan = made(store, Number("data"), Number("one"), Number("two"))
    whole = made_of(recipe, plan, Runtime())
    assert whole == made_of(recipe, plan, Runtime(workers=3, threads=2))
    titled = parse_recipe(CONTENT | {"title": "Other words"}, "test")
    fewer = made(store, Number("data"), Number("one"))
    seen = {whole, made_of(titled, plan, Runtime()), made_of(recipe, fewer, Runtime())}
    for text in ("A = 1", "A = 2"):
        plugin.write_text(text)
        seen.add(made_of(recipe, plan, Runtime(plugins=(str(plugin),))))
    monkeypatch.setattr(making, "package_digest", lambda: "edited")
    seen.add(made_of(recipe, plan, Runtime()))
    assert None not in seen and len(seen) == 6


@pytest.mark.parametrize("name", ["data", "two"])
def test_a_stage_that_is_missing_or_made_again_is_noticed(
    recipe: Recipe, tmp_path: Path, name: str
) -> None:
    """Under the same key a stage that is made again has another cost."""
    stages = Number("data"), Number("one"), Number("two")
    whole = made_of(recipe, made(Store(tmp_path), *stages), Runtime())
    gone = next(stage for stage in stages if stage.name == name)
    shutil.rmtree(tmp_path / gone.key)
    there = Store(tmp_path)
    left = cast(
        RunPlan,
        SimpleNamespace(store=there, data=stages[0], stages=stages[1:], rows=(), bands=()),
    )
    assert made_of(recipe, left, Runtime()) is None
    again = (Number(stage.name, "2") if stage is gone else stage for stage in stages)
    assert made_of(recipe, made(there, *again), Runtime()) not in (None, whole)


def test_results_are_current_where_they_are_whole_and_made_of_the_same(
    recipe: Recipe, tmp_path: Path
) -> None:
    environment = {"python": "3", "machine": "m", "system": "s", "packages": {},
                   "accelerator": "none", "workers": 1, "threads_per_worker": 1}  # fmt: skip
    content = {"recipe": {"name": "x"}, "environment": environment, "rows": []}
    results = Results.model_validate(content)

    def write(hashed: str | None) -> None:
        assert write_results(results, Details(), recipe, tmp_path, hashed) == results

    assert current_results("one", tmp_path) is None
    write_recipe(recipe, tmp_path)
    write("one")
    assert current_results("one", tmp_path) == results
    assert current_results("two", tmp_path) is None and current_results(None, tmp_path) is None
    (tmp_path / PAGE).write_text("a page")
    seal_more(tmp_path, PAGE)
    (tmp_path / PAGE).write_text("another")
    write("two")
    assert current_results("two", tmp_path) == results
    assert changed_files(tmp_path) == [PAGE]
    write(None)
    assert current_results("two", tmp_path) is None
    write("two")
    for name in (RESULTS, DETAILS):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(kept + b" ")
        assert current_results("two", tmp_path) is None
        (tmp_path / name).write_bytes(kept)


def test_code_that_changed_after_the_process_began_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the disk then did not compute what is in memory."""
    planned = made(Store(tmp_path / "stages"), Number("a"), Number("b"))
    recipe = parse_recipe(CONTENT, "test")
    source = tmp_path / "edited.py"
    source.write_text("")
    monkeypatch.setattr(making, "package_files", lambda: [source])
    os.utime(source, (0, 0))
    assert made_of(recipe, planned, Runtime()) is not None
    later = time.time() + 10
    os.utime(source, (later, later))
    assert made_of(recipe, planned, Runtime()) is None
