"""A store makes each stage once, whole, by the process that holds its lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clearbench.runs.cache import WorkerCache
from clearbench.runs.making import make_stage
from clearbench.runs.stage import Stage, StageInputs, Status, write_outcome
from clearbench.runs.store import Store


@dataclass(frozen=True)
class Made(Stage):
    """A stage that counts how often it is made."""

    kind: ClassVar[str] = "made"

    times: list[int] = field(default_factory=list, hash=False, compare=False)

    @property
    def label(self) -> str:
        return "once"

    @property
    def settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        return {}

    def make(self, folder: Path, inputs: StageInputs) -> Status:
        self.times.append(1)
        inputs.scratch.mkdir(exist_ok=True)
        (inputs.scratch / "checkpoint").write_text("half")
        (folder / "result").write_text("whole")
        return write_outcome(folder, "ok")


def make(stage: Stage, store: Store, wait: float = 0.05) -> Any:
    return make_stage(stage, store, WorkerCache(), lambda *_: None, wait)


def test_a_stage_is_made_once_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    stage, store = Made(), Store(tmp_path)
    (tmp_path / f".{stage.key}.999999.tmp").mkdir()
    assert not store.holds(stage.key)
    for _ in range(2):
        assert make(stage, store).status == "ok"
    assert len(stage.times) == 1 and store.holds(stage.key)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".locks", stage.key])


def test_half_a_stage_is_no_stage(tmp_path: Path) -> None:
    stage, store = Made(), Store(tmp_path)
    store.folder(stage.key).mkdir(parents=True)
    assert not store.holds(stage.key)
    make(stage, Store(tmp_path / "other"))
    (tmp_path / "other" / stage.key / "result").unlink()
    assert not Store(tmp_path / "other").holds(stage.key)
    make(stage, Store(tmp_path / "third"))
    (tmp_path / "third" / stage.key / "result").write_text("WHOLE")
    assert not Store(tmp_path / "third").holds(stage.key), "of equal size"


def test_a_stage_that_another_process_makes_is_left_to_it(tmp_path: Path) -> None:
    stage, store = Made(), Store(tmp_path)
    with Store(tmp_path).lock(stage.key, 0.0) as mine:
        assert mine
        with store.lock(stage.key, 0.05) as ours:
            assert not ours
        assert make(stage, store) is None and not stage.times
    assert make(stage, store).status == "ok"


def test_a_stage_that_was_made_while_waiting_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, store = Made(), Store(tmp_path)
    assert make(stage, store).status == "ok"
    asked: list[str] = []
    holds = Store.holds

    def later(self: Store, key: str) -> bool:
        asked.append(key)
        return len(asked) > 1 and holds(self, key)

    monkeypatch.setattr(Store, "holds", later)
    assert make(stage, store).status == "ok" and len(stage.times) == 1
