"""Imports run downwards only: one order of rooms, and no two files that import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "clearbench"
#: Every room imports only from rooms before it and from itself. CONTRIBUTING.md says what each is.
ORDER = (
    "errors", "libraries", "imports", "plugins", "writing", "storage", "processes", "devices",
    "quiet", "people", "data", "batches", "methods", "models", "training", "builtin", "completion",
    "evaluation", "attacks", "runs", "report", "audit", "evidence", "api", "benchmark", "testing",
    "catalogue", "doctor", "cli", "__main__",
)  # fmt: skip


@cache
def imports_of(module: str) -> tuple[str, ...]:
    """Dotted names that a module of the package imports; each file is parsed once."""
    tree = ast.parse(modules()[module].read_text("utf-8"))
    return tuple(imported(tree, module))


def imported(tree: ast.AST, module: str) -> Iterator[str]:
    """Dotted names that a module imports, at any depth, lazily and for types too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                parents = module.split(".")[:-level] if level else []
                base = ".".join([*parents, *([source] if source else [])])
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def rooms(names: Iterable[str]) -> set[str]:
    """The rooms of the package (its first level) of imported names."""
    parts = (name.split(".") for name in names)
    return {name[1] for name in parts if name[0] == PACKAGE and len(name) > 1}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name (a folder by its `__init__`)."""
    files = sorted((SOURCE / PACKAGE).rglob("*.py"))
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in files}


def test_rooms_import_only_rooms_before_them() -> None:
    problems = []
    for module in modules():
        room = module.split(".")[1]
        if room == "__init__":  # names its public parts and imports none of them
            continue
        later = set(ORDER[ORDER.index(room) + 1 :])
        seen = rooms(imports_of(module))
        problems += [f"{module} imports {PACKAGE}.{other}" for other in sorted(seen & later)]
        assert seen <= {*ORDER, "__version__"}, f"{module}: no such rooms: {seen - {*ORDER}}"
    assert not problems, "\n".join(problems)


def test_every_room_has_its_place() -> None:
    found = {module.split(".")[1] for module in modules()}
    assert found - {"__init__"} == set(ORDER)


def edges() -> dict[str, set[str]]:
    """By module, the modules of the package that it imports."""
    known = modules()
    found: dict[str, set[str]] = {}
    for module in known:
        seen = set()
        for name in imports_of(module):
            for wanted in (name, name.rpartition(".")[0], f"{name}.__init__"):
                if wanted in known:
                    seen.add(wanted)
                    break
        found[module] = seen - {module}
    return found


def test_no_two_files_import_each_other() -> None:
    """Nor any circle of files, which the sorter names: only without one is there an order."""
    order = list(TopologicalSorter(edges()).static_order())
    assert sorted(order) == sorted(modules())


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("data.load", "import clearbench.runs.stages"),
        ("data.load", "from clearbench import runs"),
        ("data.load", "from clearbench.runs import stages"),
        ("data.load", "from ..runs import stages"),
        ("data.__init__", "from ..runs import stages"),
        ("data.load", "def late():\n    from clearbench.runs.stages import Stage"),
        ("data.load", "importlib.import_module('clearbench.runs')"),
    ],
)
def test_every_way_to_import_is_seen(module: str, line: str) -> None:
    assert rooms(imported(ast.parse(line), f"{PACKAGE}.{module}")) == {"runs"}
