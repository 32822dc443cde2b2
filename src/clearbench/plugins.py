"""Registries of classes that register themselves: packages, entry points and plugin files."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Generic, TypeVar

from clearbench.errors import ClearbenchError, RecipeError, did_you_mean
from clearbench.imports import modules_beside

Registered = TypeVar("Registered")
#: Beginning of the module names of plugin files.
PLUGIN = "clearbench_plugin_"


class Registry(Mapping[str, type[Registered]], Generic[Registered]):
    """Classes by name, sorted; the first look-up imports every file that may define one.

    Args:
        kind: Word for one class in messages.
        package: Package whose files define the classes that ship.
        group: Group of entry points that define more.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self.package, self.group = kind, package, group
        self.classes: dict[str, type[Registered]] = {}
        self._modules: dict[str, ModuleType | None] = {}

    @property
    def plural(self) -> str:
        """The word for several classes."""
        return f"{self.kind[:-1]}ies" if self.kind.endswith("y") else f"{self.kind}s"

    def add(self, name: str, cls: type[Registered]) -> None:
        """Registers a class; a file that is loaded twice replaces its own classes.

        Raises:
            RecipeError: Another file has a class of this name, or this plugin file has two.
        """
        known, module = self.classes.get(name), sys.modules.get(cls.__module__)
        again = cls.__module__.startswith(PLUGIN) and self._modules.get(name) is module
        self._modules[name] = module
        if known is not None and (again or _origin(known) != _origin(cls)):
            raise RecipeError(
                f"two {self.plural} are called '{name}'",
                f"{known.__module__} and {cls.__module__}",
                "rename one",
            )
        self.classes[name] = cls

    def named(self, name: str) -> type[Registered]:
        """Returns the class of a name.

        Raises:
            RecipeError: The name is unknown; the nearest known one is suggested.
        """
        if name not in self:
            raise RecipeError(f"unknown {self.kind} '{name}'", self.kind, did_you_mean(name, self))
        return self[name]

    @cached_property
    def _discovered(self) -> bool:
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        for entry in entry_points(group=self.group):
            _load_installed(entry)
        return True

    def _all(self) -> dict[str, type[Registered]]:
        return self.classes if self._discovered else {}

    def __getitem__(self, name: str) -> type[Registered]:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())


def _load_installed(entry: EntryPoint) -> None:
    """Imports the class that an entry point of an installed package names.

    Raises:
        RecipeError: It cannot be imported, or has no name.
    """
    where = f"entry point '{entry.name} = {entry.value}' of {_package_of(entry)}"
    fix = "mend or uninstall the package"
    try:
        loaded = entry.load()
    except ClearbenchError as error:
        raise RecipeError(error.what, where, error.fix) from error
    except (Exception, SystemExit) as error:  # a package may do anything when it is imported
        what = f"it cannot be loaded: {type(error).__name__}: {error}".splitlines()[0]
        raise RecipeError(what, where, fix) from error
    if getattr(loaded, "name", None) == "":
        what = f"class {loaded.__name__} has no name, so nothing can call it"
        raise RecipeError(what, where, fix)


def _package_of(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an installed package"


def installed_plugins() -> dict[str, Path]:
    """Lists the source files of installed plugins that were imported, by package and module."""
    found: dict[str, Path] = {}
    for entry in (entry for package in distributions() for entry in package.entry_points):
        source = getattr(sys.modules.get(entry.module), "__file__", None)
        if entry.group.startswith("clearbench.") and source and source.endswith(".py"):
            found[f"{_package_of(entry)}: {entry.module}"] = Path(source)
    return dict(sorted(found.items()))


def _origin(cls: type) -> tuple[str, str]:
    source = sys.modules.get(cls.__module__)
    return str(getattr(source, "__file__", cls.__module__)), cls.__qualname__


def is_of_plugin(cls: type) -> bool:
    """Whether a class was defined in a plugin file."""
    return cls.__module__.startswith(PLUGIN)


def load_plugin(path: Path) -> ModuleType:
    """Runs a Python file that the user named, so that its classes register.

    The file may define methods, metrics, attacks, or anything else that registers itself. A class
    that is there from this very file already is replaced. It may import modules that stand beside
    it, as a script may; an installed module of the same name comes first.

    Raises:
        RecipeError: There is no such file, it cannot be run (with the line), it defines a class
            without a name, or another plugin imports another module of the name of one beside it.
    """
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "no such plugin file"
        raise RecipeError(what, str(path), "give the path of a Python file")
    if path.suffix != ".py":
        raise RecipeError("not a Python file", str(path), "give the path of a .py file")
    name = f"{PLUGIN}{path.stem}"
    _let_import_beside(path.resolve(), name)
    loader = _SourceLoader(name, str(path))
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, loader, origin=str(path))
    module.__file__ = str(path)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except ClearbenchError as error:
        _restore(name, before)
        raise RecipeError(error.what, _line(error, path), error.fix) from error
    except (Exception, SystemExit) as error:
        _restore(name, before)
        raise RecipeError(_told(error), _line(error, path), "correct the plugin") from error
    _refuse_nameless(module, path)
    return module


def _let_import_beside(path: Path, plugin: str) -> None:
    """Lets a plugin file import what stands beside it, as the files are now."""
    beside = modules_beside(path)
    _refuse_twin_modules(beside, plugin)
    held = {name: sys.modules[name] for name in beside if name in sys.modules}
    own = [n for n, module in held.items() if getattr(module, "__file__", "") == str(beside[n])]
    if any(_is_changed(held[name], beside[name]) for name in own):
        for name in own:  # one that is unchanged may hold what a changed one defined
            del sys.modules[name]
            package, _, child = name.rpartition(".")
            if hasattr(sys.modules.get(package), child):
                delattr(sys.modules[package], child)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    compiled = (ExtensionFileLoader, EXTENSION_SUFFIXES)
    for place in {str(file.parent) for file in (path, *beside.values())}:
        sys.path_importer_cache[place] = FileFinder(place, compiled, (_SourceLoader, [".py"]))


def _refuse_twin_modules(beside: Mapping[str, Path], plugin: str) -> None:
    """Refuses modules of a name that a plugin file in another folder imports from there."""
    for other, module in [*sys.modules.items()]:
        file = Path(module.__file__ or "") if other.startswith(PLUGIN) else Path()
        theirs = modules_beside(file.resolve()) if other != plugin and file.is_file() else {}
        for name in [name for name in theirs if beside.get(name, theirs[name]) != theirs[name]]:
            what = f"two plugins import modules called {name}, from two folders"
            raise RecipeError(what, f"{theirs[name]}, {beside[name]}", "rename one")


def _is_changed(module: ModuleType, path: Path) -> bool:
    """Whether a file is no longer what a module was made from, as far as that is known."""
    loader = module.__spec__.loader if module.__spec__ else None
    known = loader.digest if isinstance(loader, _SourceLoader) else None
    return known != hashlib.sha256(path.read_bytes()).digest()


def _restore(name: str, before: ModuleType | None) -> None:
    """Puts back the module that a plugin file which failed has displaced."""
    if before is None:
        del sys.modules[name]
    else:
        sys.modules[name] = before


def _told(error: BaseException) -> str:
    """Words what stopped a plugin file."""
    if isinstance(error, SyntaxError):
        return f"not valid Python: {error.msg}"
    if isinstance(error, SystemExit):
        return "the plugin ends the program (sys.exit) when it is loaded"
    first, *_ = str(error).splitlines() or [""]
    return f"the plugin fails when it is loaded: {type(error).__name__}: {first}"


def _line(error: BaseException, path: Path) -> str:
    """Names the last line of the plugin file that an error came through."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.filename or path}:{error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _refuse_nameless(module: ModuleType, path: Path) -> None:
    """Refuses a class that has a name to give, gives none, and is no other class's base."""
    classes = [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ == module.__name__
    ]
    for cls in classes:
        based_on = any(cls in other.__mro__[1:] for other in classes)
        if getattr(cls, "name", None) == "" and not based_on:
            raise RecipeError(
                f"class {cls.__name__} has no name, so nothing can call it",
                str(path),
                f'write class {cls.__name__}({cls.__bases__[0].__name__}, name="...")',
            )
    named = any(getattr(cls, "name", None) for cls in classes)
    own = any(not key.startswith("__") for key in vars(module))
    if not named and not own:
        raise RecipeError("the plugin defines nothing", str(path), "give a file with a class")


class _SourceLoader(SourceFileLoader):
    """Compiles a file at every load: stored bytecode is known by its second, not by its text.

    Attributes:
        digest: Sha256 of what was compiled last.
    """

    digest: bytes | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        """Compiles the source as it is."""
        text = self.get_data(self.path)
        self.digest = hashlib.sha256(text).digest()
        return self.source_to_code(text, self.path)
