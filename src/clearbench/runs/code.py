"""Finds the source files that compute a stage: a module and all that it imports.

A class that is found by its name (a method, a metric, an attack) is imported by no module, so a
stage names the modules of its classes itself. Code that only decides where bytes go is left out.
A plugin file counts with the modules beside it that it imports; of installed packages that compute
the versions count, not the sources, but for the package that a plugin is part of.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from clearbench.imports import PACKAGE, imported_names, imports_of, modules_beside
from clearbench.plugins import PLUGIN
from clearbench.storage import content_hash, sha256_file

#: Rooms that decide where bytes go and how mistakes are worded, never what is computed. Of `runs`
#: only the stages themselves compute.
UNCOUNTED = ("errors", "storage", "writing", "quiet", "imports", "plugins", "libraries")
#: Modules of settings that stages record value by value.
SETTINGS = ("clearbench.evaluation.settings",)
#: Packages of further base classes; their versions are recorded instead of their sources.
LIBRARIES = frozenset({*sys.stdlib_module_names, "pydantic", "torch", "transformers", "numpy"})


#: Imports for types alone; and every import of a text without comments.
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:.*\n(?:[ \t].*\n|\n)*", re.MULTILINE)
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+import[ \t]+(?:\([^)]*\)|.+)|import[ \t]+.+)$", re.MULTILINE
)
_COMMENT = re.compile(r"#.*")


def modules_of(*objects: object) -> tuple[str, ...]:
    """Names the modules that define objects' classes and their base classes."""
    classes = (base for thing in objects for base in type(thing).__mro__)
    names = {base.__module__ for base in classes}
    return tuple(sorted(name for name in names if _file(name) is not None))


def code_digests(modules: Iterable[str]) -> dict[str, str]:
    """Computes the sha256 of every source file that modules consist of, by module name.

    A file of data beside a source file and of its name counts with it.

    Args:
        modules: Names of imported modules: of this package, of a plugin, of an installed package.
    """
    digests: dict[str, str] = {}
    waiting = [name for name in sorted(modules) if not _is_uncounted(name)]
    beside = _beside_plugins(waiting)
    waiting += beside
    while waiting:
        name = waiting.pop()
        path = None if name in digests else beside.get(name) or _file(name)
        if path is not None:
            digests[name], imports = _read(path, _changed(path), name)
            waiting += [other for other in imports if other not in digests]
    return dict(sorted(digests.items()))


def libraries_of(modules: Iterable[str]) -> dict[str, str]:
    """Finds the versions of installed packages that modules outside this package import.

    Args:
        modules: Names of modules, as `code_digests` names them.
    """
    names = [name for name in modules if name.partition(".")[0] != PACKAGE]
    beside = _beside_plugins(names)
    files = {name: beside.get(name) or _file(name) for name in names}
    imported_there = (imports_of(path, name) for name, path in files.items() if path)
    tops = {name.partition(".")[0] for found in imported_there for name in found}
    tops -= {PACKAGE, "", *sys.stdlib_module_names, *(name.partition(".")[0] for name in names)}
    packages = {name.lower() for top in tops for name in _packages_by_module().get(top, ())}
    return {package: version(package) for package in sorted(packages)}


@cache
def _packages_by_module() -> Mapping[str, list[str]]:
    """Returns the names of installed packages by the modules that they bring."""
    return packages_distributions()


def package_files() -> list[Path]:
    """Lists every source file of this package, and the data beside them."""
    root = Path(__file__).parents[1]
    return sorted(path for ending in ("py", "json") for path in root.rglob(f"*.{ending}"))


def package_digest() -> str:
    """Computes the sha256 of `package_files`."""
    root = Path(__file__).parents[1]
    return content_hash(
        [[path.relative_to(root).as_posix(), sha256_file(path)] for path in package_files()]
    )


def changed_modules(recorded: dict[str, str]) -> list[str]:
    """Lists recorded modules whose source has changed or is missing."""
    beside = _beside_plugins(recorded)
    return [
        name
        for name, digest in recorded.items()
        if (path := beside.get(name) or _file(name)) is None
        or _digest(path, _changed(path)) != digest
    ]


def _beside_plugins(names: Iterable[str]) -> dict[str, Path]:
    """Finds the modules beside plugin files that these import, also where not imported yet."""
    files = [_file(name) for name in names if name.startswith(PLUGIN)]
    return {name: at for file in files if file for name, at in modules_beside(file).items()}


def _is_uncounted(name: str) -> bool:
    package, room, module = (*name.split("."), "", "")[:3]
    elsewhere = room in UNCOUNTED or (room == "runs" and module != "stages")
    return package == PACKAGE and (elsewhere or name in SETTINGS)


def _file(name: str) -> Path | None:
    """Finds the source file of a module that counts, of this package or of another."""
    if name.partition(".")[0] == PACKAGE:
        return _own_file(name)
    if name.partition(".")[0] in LIBRARIES:
        return None
    source = getattr(sys.modules.get(name), "__file__", None)
    return Path(source) if source and source.endswith(".py") else None


@lru_cache(maxsize=4096)
def _own_file(name: str) -> Path | None:
    base = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
    paths = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in paths if path.is_file()), None)


@lru_cache(maxsize=4096)
def _files(path: Path) -> tuple[Path, Path]:
    """Names a module's file and that of data which may stand beside it: `refusals.json`."""
    return path, path.with_suffix(".json")


def _changed(path: Path) -> tuple[int, ...]:
    """Reads when the files of a module were last changed; 0 for one that is not there."""
    times: list[int] = []
    for file in _files(path):
        try:
            times.append(os.stat(file).st_mtime_ns)  # noqa: PTH116 - of thousands of files
        except FileNotFoundError:
            times.append(0)
    return tuple(times)


@lru_cache(maxsize=4096)
def _digest(path: Path, changed: tuple[int, ...]) -> str:
    return " ".join(sha256_file(file) for file in _files(path) if file.is_file())


@lru_cache(maxsize=2048)
def _read(path: Path, changed: tuple[int, ...], module: str) -> tuple[str, tuple[str, ...]]:
    """Computes a file's digest, and the modules that count of those that it imports."""
    own = {PACKAGE, module.partition(".")[0]}
    inside = f"{module}.__init__" if path.name == "__init__.py" else module
    names = imported(path.read_text(encoding="utf-8"), inside)
    near = (name for name in names if name.partition(".")[0] in own and not _is_uncounted(name))
    return _digest(path, changed), tuple(sorted(name for name in near if _file(name) is not None))


def imported(source: str, module: str) -> set[str]:
    """Names all that a module imports when it runs, wherever in it.

    Of a file of this package, whose imports have lines of their own, they are cut out of the text:
    to parse all of it takes five times as long.
    """
    text = source
    if module.partition(".")[0] == PACKAGE:
        cut_out = _IMPORT.finditer(_COMMENT.sub("", _FOR_TYPES.sub("", source)))
        text = "\n".join(" ".join(found[0].split()) for found in cut_out)
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a line of a docstring that begins like an import
        tree = ast.parse(source)
    return imported_names(tree, module)
