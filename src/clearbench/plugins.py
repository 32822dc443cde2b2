"""Registries of classes that register themselves: packages, entry points and plugin files."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Generic, TypeVar

from clearbench.errors import ClearbenchError, RecipeError, did_you_mean

Registered = TypeVar("Registered")
#: Beginning of the module names of plugin files.
_PLUGIN = "clearbench_plugin_"


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
        again = cls.__module__.startswith(_PLUGIN) and self._modules.get(name) is module
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
    return cls.__module__.startswith(_PLUGIN)


def load_plugin(path: Path) -> ModuleType:
    """Runs a Python file that the user named, so that its classes register.

    The file may define methods, metrics, attacks, or anything else that registers itself. A class
    that is there from this very file already is replaced.

    Raises:
        RecipeError: There is no such file, it cannot be run (with the line), or it defines a class
            without a name.
    """
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "no such plugin file"
        raise RecipeError(what, str(path), "give the path of a Python file")
    if path.suffix != ".py":
        raise RecipeError("not a Python file", str(path), "give the path of a .py file")
    name = f"{_PLUGIN}{path.stem}"
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
    """Compiles a file at every load: stored bytecode is known by its second, not by its text."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Compiles the source as it is."""
        return self.source_to_code(self.get_data(self.path), self.path)
