"""Modules that a plugin imports from beside it are part of it: run, hashed and recorded with it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from clearbench.errors import RecipeError
from clearbench.imports import modules_beside
from clearbench.plugins import load_plugin
from clearbench.runs.code import changed_modules, code_digests, libraries_of
from clearbench.runs.execute import Runtime
from clearbench.runs.made_of import plugin_digests

PLUGIN = "clearbench_plugin_leading"
LATE = "def late():\n    import beside_late\n    return beside_late.C\n"
SOURCES = {
    "leading.py": f"import json\nfrom beside_first import VALUE\nimport beside_parts.inner\n{LATE}",
    "beside_first.py": "from beside_second import VALUE\n",
    "beside_second.py": "from PIL import Image\nVALUE = 1\n",
    "beside_parts/__init__.py": "from .other import B\n",
    "beside_parts/inner.py": "from clearbench.methods.losses import Term\n",
    "beside_parts/other.py": "B = 1\n",
    "beside_late.py": "C = 1\n",
    "beside_unused.py": "D = 1\n",
    "json.py": "raise AssertionError('the standard library comes first')\n",
}
#: Files that the plugin imports from beside it, by the names it imports them by.
BESIDE = {
    "beside_first": "beside_first.py",
    "beside_late": "beside_late.py",
    "beside_parts": "beside_parts/__init__.py",
    "beside_parts.inner": "beside_parts/inner.py",
    "beside_parts.other": "beside_parts/other.py",
    "beside_second": "beside_second.py",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a plugin file and the modules beside it."""
    for name, source in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("beside_", PLUGIN))]:
        del sys.modules[name]


def test_what_stands_beside_and_is_imported_is_found(folder: Path) -> None:
    found = modules_beside(folder / "leading.py")
    assert found == {name: folder / place for name, place in BESIDE.items()}


def test_every_module_beside_counts_with_the_plugin(folder: Path) -> None:
    load_plugin(folder / "leading.py")
    before = code_digests([PLUGIN])
    assert {*before} > {*BESIDE, PLUGIN, "clearbench.methods.losses"}
    assert "beside_unused" not in before and "json" not in before
    for name, place in BESIDE.items():
        content = (folder / place).read_bytes()
        assert before[name] == hashlib.sha256(content).hexdigest()
        (folder / place).write_bytes(content + b"# edited\n")
        after = code_digests([PLUGIN])
        assert {each for each in before if after[each] != before[each]} == {name}
        assert changed_modules(before) == [name]
        (folder / place).write_bytes(content)
    assert changed_modules(before) == []


def test_versions_of_packages_count_that_the_plugin_imports(folder: Path) -> None:
    load_plugin(folder / "leading.py")
    assert libraries_of(code_digests([PLUGIN])) == {"pillow": version("pillow")}
    (folder / "beside_late.py").write_text("import jinja2.sandbox\nC = 1\n")
    found = libraries_of(code_digests([PLUGIN]))
    assert found == {"jinja2": version("jinja2"), "pillow": version("pillow")}
    assert libraries_of(["clearbench.methods.npo"]) == {}


def test_they_are_recorded_by_their_place(folder: Path) -> None:
    found = plugin_digests(Runtime(plugins=(str(folder / "leading.py"),)))
    assert {"leading.py", *BESIDE.values()} <= {*found}
    content = (folder / "beside_parts" / "inner.py").read_bytes()
    assert found["beside_parts/inner.py"] == hashlib.sha256(content).hexdigest()


def test_an_edited_module_is_run_as_it_is(folder: Path) -> None:
    """Also one below an unchanged module, and within the second of the edit before."""
    for value in (1, 2, 3):
        (folder / "beside_second.py").write_text(f"VALUE = {value}\n")
        assert value == load_plugin(folder / "leading.py").VALUE
    first = sys.modules["beside_first"]
    load_plugin(folder / "leading.py")
    assert sys.modules["beside_first"] is first, "nothing has changed"
    assert load_plugin(folder / "leading.py").late() == 1
    (folder / "beside_late.py").write_text("C = 5\n")
    assert load_plugin(folder / "leading.py").late() == 5


def test_an_edited_module_of_a_folder_without_init_is_run_as_it_is(folder: Path) -> None:
    (folder / "beside_plain").mkdir()
    (folder / "leading.py").write_text("from beside_plain import inner\nVALUE = inner.VALUE\n")
    for value in (1, 2):
        (folder / "beside_plain/inner.py").write_text(f"VALUE = {value}\n")
        assert value == load_plugin(folder / "leading.py").VALUE


@pytest.mark.parametrize(
    "test",
    [
        "if not TYPE_CHECKING:\n    import beside_late",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import beside_late",
    ],
)
def test_imports_that_run_beside_those_for_types_count(folder: Path, test: str) -> None:
    (folder / "leading.py").write_text(f"from typing import TYPE_CHECKING\n{test}\n")
    assert [*modules_beside(folder / "leading.py")] == ["beside_late"]


def test_two_modules_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    load_plugin(folder / "leading.py")
    other = tmp_path / "other"
    other.mkdir()
    (other / "beside_first.py").write_text("VALUE = 7\n")
    (other / "second_leading.py").write_text("from beside_first import VALUE\n")
    with pytest.raises(RecipeError, match="two plugins import modules called beside_first") as told:
        load_plugin(other / "second_leading.py")
    assert str(other / "beside_first.py") in told.value.where


def test_an_unreadable_module_is_one_error(folder: Path) -> None:
    (folder / "beside_second.py").write_text("VALUE = (\n")
    with pytest.raises(RecipeError, match="not valid Python") as told:
        load_plugin(folder / "leading.py")
    assert told.value.where == f"{folder / 'beside_second.py'}:1"
