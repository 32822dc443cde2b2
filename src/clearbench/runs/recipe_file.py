"""Reads the files of recipes as they are, and names those that ship."""

from __future__ import annotations

import copy
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from clearbench.errors import RecipeError, did_you_mean


def builtin_recipes() -> dict[str, Path]:
    """Returns the recipes that ship, by name."""
    packaged = Path(str(files("clearbench"))) / "recipes"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def recipe_path(source: str | Path) -> Path:
    """Finds the file of a recipe that is named or given by its path."""
    return builtin_recipes().get(str(source), Path(source))


def read_recipe(source: str | Path, changes: list[str] | None = None) -> dict[str, Any]:
    """Reads what a recipe file or a built-in recipe says, unchecked, with `key.sub=value` changes.

    Raises:
        RecipeError: There is no such file, or it holds no mapping.
    """
    path = recipe_path(source)
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        _refuse_twice(yaml.compose(text, Loader=yaml.SafeLoader), path)
    except FileNotFoundError as error:
        raise RecipeError(
            "no such recipe", str(source), did_you_mean(str(source), builtin_recipes())
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise RecipeError(f"not valid YAML: {error}", str(path), "correct the file") from error
    except OSError as error:
        what = f"cannot read: {error.strerror}"
        raise RecipeError(what, str(path), "give a YAML file") from error
    except RecursionError as error:
        what = "nested too deeply for a recipe"
        raise RecipeError(what, str(path), "see recipes/demo.yaml") from error
    if not isinstance(content, dict):
        raise RecipeError("a recipe is a mapping of keys", str(path), "see recipes/demo.yaml")
    for change in changes or []:
        _apply(content, change)
    return content


def _apply(content: dict[str, Any], change: str) -> None:
    """Sets one `key.sub=value`; numbers in a key index lists.

    What lies on the way is copied: where an anchor gave several runs the same part, one changes.
    """
    key, separator, text = change.partition("=")
    if not separator:
        raise RecipeError(f"'{change}' is not key=value", "command line", "write data.people=20")
    place: Any = content
    *path, last = key.split(".")
    try:
        value = yaml.safe_load(text)
        for part in path:
            name = int(part) if isinstance(place, list) else part
            if isinstance(place, dict):
                place.setdefault(name, {})
            place[name] = copy.copy(place[name])
            place = place[name]
        place[int(last) if isinstance(place, list) else last] = value
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{change[:60]}: not valid YAML: {error}", "command line") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"{change}: there is no '{key}' to set", "command line", "see the recipe's keys"
        ) from error


def _refuse_twice(node: yaml.Node | None, path: Path) -> None:
    """Refuses a key that stands twice in one mapping, of which YAML keeps the last alone."""
    if isinstance(node, yaml.MappingNode):
        keys = [(key.value, key.start_mark.line + 1) for key, _ in node.value]
        names = [name for name, _ in keys if name != "<<"]
        for name, line in keys:
            if isinstance(name, str) and names.count(name) > 1:
                raise RecipeError(f"'{name}' is there twice", f"{path}:{line}", "keep one of them")
    for child in getattr(node, "value", ()) if node and not isinstance(node.value, str) else ():
        for each in child if isinstance(child, tuple) else (child,):
            _refuse_twice(each, path)
