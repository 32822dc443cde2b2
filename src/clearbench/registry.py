"""Registries of classes that announce themselves: by folder, entry point or plugin file."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import sys
from typing import Generic, TypeVar

from clearbench.errors import RecipeError

Base = TypeVar("Base")


class Registry(Generic[Base]):
    """Classes by name. A subclass that calls `add` is registered as soon as its file is run.

    Args:
        noun: Word for one entry in error messages, such as `modality`.
        package: Package whose modules are imported before the first look-up.
        group: Entry-point group whose entries are loaded then, too.
    """

    def __init__(self, noun: str, package: str, group: str) -> None:
        self._noun, self._package, self._group = noun, package, group
        self._classes: dict[str, type[Base]] = {}
        self._searched = False

    def add(self, name: str, cls: type[Base]) -> None:
        """Registers a class; a file that is run twice replaces its own classes.

        Raises:
            RecipeError: For a name that a class of another file has.
        """
        known = self._classes.get(name)
        if known is not None and _origin(known) != _origin(cls):
            raise RecipeError(
                f"two of the kind {self._noun} are called '{name}'",
                f"{known.__module__} and {cls.__module__}",
                "rename one",
            )
        self._classes[name] = cls

    def all(self) -> dict[str, type[Base]]:
        """Every registered class, in the order of registration."""
        if not self._searched:
            self._searched = True
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            for entry in importlib.metadata.entry_points(group=self._group):
                entry.load()
        return dict(self._classes)


def _origin(cls: type) -> tuple[str, str]:
    source = sys.modules.get(cls.__module__)
    return str(getattr(source, "__file__", cls.__module__)), cls.__qualname__
