"""Stages beside each other: copies under another name, leftovers, and stages that others make."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console

from clearbench.errors import StorageError
from clearbench.runs import execute
from clearbench.runs.cache import RecentlyUsed
from clearbench.runs.display import LineDisplay
from clearbench.runs.execute import Runtime, _Schedule
from clearbench.runs.messages import Ended
from clearbench.runs.model_folder import ModelFolder
from clearbench.runs.recipe_file import _apply
from clearbench.runs.stage import Ingredients, Stage, StageInputs, StageOutcome, Status
from clearbench.runs.store import Store, stage_key
from clearbench.storage import new_folder


def finished(store: Store, label: str) -> str:
    """A finished stage with one file; returns its key."""
    key = stage_key("teach", label, {"settings": {"label": label}})
    about = {"kind": "teach", "label": label, "settings": {"label": label}}
    with new_folder(store.folder(key), about) as folder:
        (folder / "model").write_text(label)
    return key


def test_a_stage_under_the_name_of_another_is_damaged(tmp_path: Path) -> None:
    """Each byte is right, but it is not what the name says."""
    store = Store(tmp_path)
    one, other = finished(store, "one"), finished(store, "other")
    assert store.holds(one) and store.holds(other)
    shutil.rmtree(store.folder(other))
    shutil.copytree(store.folder(one), store.folder(other))
    again = Store(tmp_path)
    assert again.holds(one) and not again.holds(other)
    assert again.damage(other) == ["manifest.json: of another stage"]
    with pytest.raises(StorageError, match="of another stage"):
        again.finished(other)


def test_checkpoints_go_with_the_stage_that_they_are_of(tmp_path: Path) -> None:
    """What is not finished is resumed; half-written folders are of use to nobody."""
    store = Store(tmp_path)
    done, later = finished(store, "done"), stage_key("teach", "later", {})
    for key in (done, later):
        store.scratch(key).mkdir()
        (tmp_path / f".{key}.1.tmp").mkdir()
    (tmp_path / f"{done}.corrupt-1").mkdir()
    store.tidy()
    left = {path.name for path in tmp_path.iterdir() if path.name != ".locks"}
    assert left == {done, f"{later}.unfinished", f"{done}.corrupt-1"}
    with store.new(later, {"kind": "teach", "label": "later"}):
        assert store.scratch(later).is_dir()
    assert not store.scratch(later).exists()


@pytest.mark.parametrize("field", ["parents", "materials", "code", "packages"])
def test_what_is_there_in_one_stage_alone_is_a_difference(field: str) -> None:
    empty: dict[str, dict[str, Any]] = {
        name: {} for name in ("settings", "parents", "materials", "code", "packages")
    }
    plain, more = Ingredients(**empty), Ingredients(**(empty | {field: {"x": "1"}}))
    words = {
        "parents": "starts from another", "materials": "changed:", "code": "source changed:",
        "packages": "version changed:",
    }  # fmt: skip
    said = [f"{words[field]} x"]
    assert plain.differences(more) == more.differences(plain) == said
    assert more.differences(more) == plain.differences(plain) == []
    changed = Ingredients(**(empty | {field: {"x": "2", "y": "1"}}))
    assert changed.differences(more) == [*said, f"{words[field]} y"]


def test_a_change_of_one_run_leaves_the_others_that_share_its_anchor() -> None:
    shared: dict[str, Any] = {"steps": 3, "until": {"text": 0.5}}
    content: dict[str, Any] = {"runs": [{"train": shared}, {"train": shared}]}
    _apply(content, "runs.1.train.steps=7")
    _apply(content, "runs.0.train.until.text=0.9")
    assert content["runs"] == [
        {"train": {"steps": 3, "until": {"text": 0.9}}},
        {"train": {"steps": 7, "until": {"text": 0.5}}},
    ]
    assert shared == {"steps": 3, "until": {"text": 0.5}}


def test_trainings_of_other_settings_have_other_checkpoints(tmp_path: Path) -> None:
    abouts: list[dict[str, Any]] = [{"seed": 0}, {"seed": 1}, {"seed": 0, "data": "x"}]
    places = [ModelFolder(tmp_path / "out", about).checkpoints for about in abouts]
    assert len({*places}) == 3 and ModelFolder(tmp_path / "out", {"seed": 0}).checkpoints in places
    assert {place.parent for place in places} == {tmp_path}


@dataclass(frozen=True)
class Plain(Stage):
    """A stage of a test."""

    kind: ClassVar[str] = "plain"

    name: str

    @property
    def label(self) -> str:
        return self.name

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    @property
    def parents(self) -> Mapping[str, Stage]:
        return {}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        return "ok"


class BusyElsewhere:
    """A worker that finds another process at `shared` until all else has begun."""

    begun: ClassVar[list[str]] = []

    def __init__(self, *_: object) -> None:
        self.stage: Plain | None = None
        self.connection = self

    def start(self, stage: Plain) -> None:
        self.stage = stage
        self.begun.append(stage.name)

    def receive(self) -> Ended:
        stage, self.stage = self.stage, None
        waits = stage is not None and stage.name == "shared" and len({*self.begun}) < 3
        if waits and len(self.begun) > 9:
            raise AssertionError("the others never begin")
        return Ended(None if waits else StageOutcome("ok"))

    def stop(self) -> None:
        """Nothing to stop."""


def test_a_stage_that_another_process_makes_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(execute, "Worker", BusyElsewhere)
    monkeypatch.setattr(
        execute.multiprocessing.connection, "wait", lambda found, timeout: [*found][:1]
    )
    monkeypatch.setattr(BusyElsewhere, "begun", [])
    stages = [Plain("shared"), Plain("one"), Plain("two")]
    outcomes: dict[str, StageOutcome] = {}
    display = LineDisplay(Console(quiet=True), stages, 1)
    _Schedule(tmp_path, [*stages], outcomes, Runtime(workers=1), display).run()
    assert BusyElsewhere.begun == ["shared", "one", "two", "shared"]
    assert all(outcome.status == "ok" for outcome in outcomes.values()) and len(outcomes) == 3


def test_of_shared_values_the_one_not_read_for_longest_is_made_again() -> None:
    """Three find room, also where the one in the middle is read."""
    cache: RecentlyUsed[str] = RecentlyUsed(3)
    made: list[str] = []

    def read(key: str) -> str:
        return cache.get(key, lambda: made.append(key) or key * 2)

    assert [read(key) for key in "abcbd"] == ["aa", "bb", "cc", "bb", "dd"]
    assert made == ["a", "b", "c", "d"]
    assert [read(key) for key in "cdb"] == ["cc", "dd", "bb"] and made == ["a", "b", "c", "d"]
    read("a")
    assert made[4:] == ["a"]
    assert [read(key) for key in "dba"] == ["dd", "bb", "aa"] and made[5:] == []


@pytest.mark.parametrize("key", ["run-0123abcd", "teach-one-0123abcd", "measure-one-0123abcd"])
def test_a_store_is_busy_while_a_run_or_a_stage_is_in_the_making(key: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.is_busy()
    with store.lock(key, 0) as mine:
        assert mine and Store(tmp_path).is_busy()
    assert not store.is_busy()
