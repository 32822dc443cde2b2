"""Looking after stages that several runs share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clearbench.errors import StorageError
from clearbench.methods.base import METHODS, methods
from clearbench.plugins import load_plugin
from clearbench.runs.recipe import dump_recipe, load_recipe
from clearbench.runs.upkeep import prune_runs, verify_run


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


def test_pruning_a_store_keeps_what_any_of_its_runs_needs(shared: tuple[Path, Path]) -> None:
    run, store = shared
    assert prune_runs([run], store, really=True) == []
    (store / "model-of-nobody").mkdir()
    other = run.parent / "other"
    other.mkdir()
    fewer = load_recipe(run / "recipe.yaml").model_copy(update={"runs": ()})
    (other / "recipe.yaml").write_text(dump_recipe(fewer))
    before = {path.name for path in store.iterdir()}
    alone = prune_runs([other], store, really=False)
    assert len(alone) > 1 and "model-of-nobody" in alone
    assert prune_runs([run, other], store, really=False) == ["model-of-nobody"]
    assert {path.name for path in store.iterdir()} == before, "it was only asked"
    assert prune_runs([run, other], store, really=True) == ["model-of-nobody"]
    assert {path.name for path in store.iterdir()} == before - {"model-of-nobody"}


def test_pruning_without_the_store_makes_nothing(shared: tuple[Path, Path]) -> None:
    run, _ = shared
    with pytest.raises(StorageError, match="no stages here"):
        prune_runs([run], really=True)
    assert [path.name for path in run.iterdir()] == ["recipe.yaml"]
