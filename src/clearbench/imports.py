"""Finds what a Python file imports, and which of it are files beside it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = "clearbench"
#: Lists of statements in a statement, or in a part of one.
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def imported_names(tree: ast.AST, module: str) -> set[str]:
    """Names all that a module imports when it runs, wherever in it.

    Args:
        tree: Parsed source of the module.
        module: Full name, which relative imports start from; that of a package with `.__init__`.
    """
    return {name for node in _statements(tree) for name in _names(node, module)}


def modules_beside(path: Path) -> dict[str, Path]:
    """Finds the modules in a file's folder that the file imports, and what they import there.

    A package below the folder counts with every module of it that is imported. A module that is
    imported by a computed name is not seen.

    Args:
        path: Python file that is part of no package.

    Returns:
        Files by the names that they are imported by.
    """
    found: dict[str, Path] = {}
    waiting = [("", path)]
    while waiting:
        name, file = waiting.pop()
        for other, place in _files_in(path.parent, imports_of(file, name)):
            if other not in found and place != path:
                found[other] = place
                waiting.append((other, place))
    return dict(sorted(found.items()))


def imports_of(path: Path, module: str) -> tuple[str, ...]:
    """Names what the file of a module imports, in order; nothing where it is not valid Python."""
    return _imports(path, path.stat().st_mtime_ns, module)


@lru_cache(maxsize=512)
def _imports(path: Path, changed: int, module: str) -> tuple[str, ...]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # whoever imports it will say so
        return ()
    inside = f"{module}.__init__" if path.name == "__init__.py" else module
    return tuple(sorted(imported_names(tree, inside)))


def _files_in(folder: Path, names: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yields the modules of these names, and the packages they are in, that a folder holds."""
    for name in names:
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names or parts[0] in ("", PACKAGE):
            continue
        for count in range(1, len(parts) + 1):
            base = folder.joinpath(*parts[:count])
            places = (base / "__init__.py", base.with_suffix(".py"))
            place = next((each for each in places if each.is_file()), None)
            if place is not None:
                yield ".".join(parts[:count]), place


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yields all statements but those below `if TYPE_CHECKING:`, which are never run."""
    for block in _BLOCKS:
        for statement in getattr(node, block, ()):
            if isinstance(statement, ast.If) and _is_for_types(statement.test):
                for other in statement.orelse:
                    yield other
                    yield from _statements(other)
                continue
            yield statement
            yield from _statements(statement)


def _is_for_types(test: ast.expr) -> bool:
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"


def _names(node: ast.AST, module: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = module.split(".")[: -node.level] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)
