"""Imports run downwards only: the rule of CONTRIBUTING.md, read from the source with `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = "clearbench"
TOP = {"runs", "report", "cli"}

#: What the modules of a room must not import.
FORBIDDEN: dict[str, set[str]] = {
    "people": TOP,
    "data": TOP | {"models", "training", "evaluation"},
    "models": TOP,
    "methods": TOP | {"models"},
    "training": TOP,
    "evaluation": TOP,
    "attacks": TOP,
    "report": {"models", "training", "runs"},
}
#: The ground floor: the only rooms that these may import.
ALLOWED: dict[str, set[str]] = {"errors": set(), "storage": {"errors"}}


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


def rooms(tree: ast.AST, module: str) -> set[str]:
    """The rooms of the package (its first level) that a module imports."""
    parts = (name.split(".") for name in imported(tree, module))
    return {name[1] for name in parts if name[0] == PACKAGE and len(name) > 1}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name (a folder by its `__init__`)."""
    files = sorted((SOURCE / PACKAGE).rglob("*.py"))
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in files}


def test_imports_run_downwards() -> None:
    problems = []
    for module, path in modules().items():
        room = module.split(".")[1]
        seen = rooms(ast.parse(path.read_text("utf-8")), module)
        wrong = seen & FORBIDDEN.get(room, set())
        if room in ALLOWED:
            wrong |= seen - ALLOWED[room]
        problems += [f"{module} imports {PACKAGE}.{other}" for other in sorted(wrong)]
    assert not problems, "\n".join(problems)


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
    assert rooms(ast.parse(line), f"{PACKAGE}.{module}") == {"runs"}
