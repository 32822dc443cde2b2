"""Registries of classes that register themselves: packages, entry points and plugin files."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType
from typing import Generic, TypeVar

from clearbench.errors import RecipeError, did_you_mean

Registered = TypeVar("Registered")


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

    @property
    def plural(self) -> str:
        """The word for several classes."""
        return f"{self.kind[:-1]}ies" if self.kind.endswith("y") else f"{self.kind}s"

    def add(self, name: str, cls: type[Registered]) -> None:
        """Registers a class; a file that is loaded twice replaces its own classes.

        Raises:
            RecipeError: Another file has a class of this name.
        """
        known = self.classes.get(name)
        if known is not None and _origin(known) != _origin(cls):
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
            entry.load()
        return True

    def _all(self) -> dict[str, type[Registered]]:
        return self.classes if self._discovered else {}

    def __getitem__(self, name: str) -> type[Registered]:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())


def _origin(cls: type) -> tuple[str, str]:
    source = sys.modules.get(cls.__module__)
    return str(getattr(source, "__file__", cls.__module__)), cls.__qualname__


def load_plugin(path: Path) -> None:
    """Runs a Python file that the user named, so that its classes register.

    The file may define methods, metrics, attacks, or anything else that registers itself.
    """
    if not path.is_file():
        raise RecipeError("no such plugin file", str(path), "give the path of a Python file")
    name = f"clearbench_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceLoader(name, str(path)))
    if spec is None or spec.loader is None or path.suffix != ".py":
        raise RecipeError("not a Python file", str(path), "give the path of a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


class _SourceLoader(SourceFileLoader):
    """Compiles a file at every load: stored bytecode is known by its second, not by its text."""

    def get_code(self, fullname: str) -> CodeType | None:
        """Compiles the source as it is."""
        return self.source_to_code(self.get_data(self.path), self.path)
