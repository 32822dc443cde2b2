"""Looking after stages that several runs share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clearbench.errors import StorageError
from clearbench.methods.base import METHODS, methods
from clearbench.plugins import load_plugin
from clearbench.runs.prune import prune_runs
from clearbench.runs.recipe import dump_recipe, load_recipe
from clearbench.runs.store import Store, stage_key
from clearbench.runs.verify import verify_run
from clearbench.storage import new_folder


@pytest.fixture
def shared(
    finished_run: Path, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A run whose stages lie in a store, and the store."""
    monkeypatch.setattr(METHODS, "classes", methods())
    load_plugin(plugin)
    run, store = tmp_path / "run", tmp_path / "store"
    run.mkdir()
    shutil.copy(finished_run / "recipe.yaml", run)
    shutil.copytree(finished_run / "stages", store)
    return run, store


def test_a_store_is_verified(shared: tuple[Path, Path]) -> None:
    run, store = shared
    assert verify_run(run, store).damaged == ()
    target = next(store.glob("measure-*/answers.parquet"))
    target.write_bytes(target.read_bytes()[:-1])
    said = f"{target.parent.name}/answers.parquet: changed or missing"
    assert verify_run(run, store).damaged == (said,)
    with pytest.raises(StorageError, match="no stages here"):
        verify_run(run)


def stage_of_nobody(store: Path) -> str:
    """A whole stage that no recipe asks for."""
    about = {"kind": "teach", "label": "of-nobody", "settings": {}}
    key = stage_key("teach", "of-nobody", {"settings": {}})
    with new_folder(store / key, about) as folder:
        (folder / "model").write_text("x")
    return key


def test_pruning_a_store_keeps_what_any_of_its_runs_needs(shared: tuple[Path, Path]) -> None:
    run, store = shared
    (store / "notes").mkdir()
    (store / "notes-0123abcd.txt").write_text("of the user's")
    assert prune_runs([run], store, really=True) == []
    nobody, other = stage_of_nobody(store), run.parent / "other"
    needed = sorted(path.name for path in store.glob("teach-*original*"))[0]
    for name in (f"{nobody}.unfinished", f"{needed}.corrupt-1", f".{needed}.1.tmp"):
        (store / name).mkdir()
    useless = sorted([nobody, f"{nobody}.unfinished", f"{needed}.corrupt-1", f".{needed}.1.tmp"])
    other.mkdir()
    fewer = load_recipe(run / "recipe.yaml").model_copy(update={"runs": ()})
    (other / "recipe.yaml").write_text(dump_recipe(fewer))
    before = {path.name for path in store.iterdir()}
    alone = prune_runs([other], store, really=False)
    assert len(alone) > len(useless) and {*useless} <= {*alone}
    assert prune_runs([run, other], store, really=False) == useless
    assert {path.name for path in store.iterdir()} == before, "it was only asked"
    with Store(store).lock(nobody, 0), pytest.raises(StorageError, match="process is running"):
        prune_runs([run, other], store, really=True)
    assert prune_runs([run, other], store, really=True) == useless
    assert {path.name for path in store.iterdir()} == before - {*useless}


def test_pruning_without_the_store_makes_nothing(shared: tuple[Path, Path]) -> None:
    run, _ = shared
    with pytest.raises(StorageError, match="no stages here"):
        prune_runs([run], really=True)
    assert [path.name for path in run.iterdir()] == ["recipe.yaml"]
