"""One file with one class is a method like any other, from the list to the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearbench.errors import RecipeError
from clearbench.methods import base
from clearbench.methods.base import METHODS, methods
from clearbench.plugins import load_plugin
from clearbench.testing import check_method


@pytest.fixture
def loaded(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> type[base.Method]:
    monkeypatch.setattr(METHODS, "classes", methods())
    load_plugin(plugin)
    return methods()["gentle_ascent"]


@pytest.mark.parametrize("kind", ["language", "vision-language", "classifier"])
def test_it_keeps_the_contract(loaded: type[base.Method], kind: Any) -> None:
    assert len(check_method(loaded, kind)) >= 16


def test_loading_it_twice_is_harmless(loaded: type[base.Method], plugin: Path) -> None:
    load_plugin(plugin)
    assert methods()["gentle_ascent"].__qualname__ == loaded.__qualname__


@pytest.mark.usefixtures("loaded")
def test_another_method_of_its_name_is_refused(plugin: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.py"
    twin.write_text(plugin.read_text())
    with pytest.raises(RecipeError, match="two methods are called 'gentle_ascent'"):
        load_plugin(twin)


def test_no_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such plugin file"):
        load_plugin(tmp_path / "none.py")


def test_it_is_listed(clearbench_process: Callable[..., Any], plugin: Path) -> None:
    rows = json.loads(clearbench_process("list", "methods", "--json", "--plugin", plugin).stdout)
    (row,) = [each for each in rows if each["name"] == "gentle_ascent"]
    assert row["paper"]["title"] == "none yet" and row["hyperparameters"] == {"strength": 0.5}
    assert row["does"] == "Climb a little on forget and hold the rest."
    assert set(row) == {
        "name", "does", "paper", "kinds", "modalities", "needs", "artefact", "status",
        "hyperparameters",
    }  # fmt: skip


def test_a_recipe_does_not_bring_it(clearbench: Callable[..., Any], finished_run: Path) -> None:
    """No code from a recipe: without the file, the method is unknown."""
    done = clearbench("validate", finished_run / "recipe.yaml", code=2)
    assert "unknown method 'gentle_ascent'" in done.stderr and "Traceback" not in done.stderr


def test_it_runs_to_the_report(finished_run: Path) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    (row,) = [each for each in results["rows"] if each["method"] == "gentle_ascent"]
    assert row["status"] == "ok" and row["hyperparameters"] == {"strength": 0.25}
    assert row["scores"]["forget.text.probability"]["gold"] is not None
    assert {"forget", "retain", "loss"} <= set(row["curve"][0])
    assert row["cost"]["backwards"] == 2
    page = (finished_run / "report.html").read_text()
    assert "gentle_ascent" in page or "gentle ascent" in page.lower()


def test_an_edit_in_the_same_second_is_loaded(tmp_path: Path) -> None:
    """Bytecode is stored with the second of the edit, in which a file may change again."""
    path = tmp_path / "quick.py"
    for value in (1, 2, 3):
        path.write_text(f"VALUE = {value}\n")
        load_plugin(path)
        assert value == sys.modules["clearbench_plugin_quick"].VALUE
