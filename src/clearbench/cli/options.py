"""Options that several commands share, and their parsing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from clearbench.errors import RecipeError

Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="Python file with a method, metric, attack, modality or dataset."
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes.")]
Store = Annotated[Path | None, typer.Option("--store", help="Stages shared between runs.")]
Forget = Annotated[
    str | None, typer.Option(help="How many people, or a published split such as forget05.")
]
Dtype = Annotated[
    str, typer.Option("--dtype", help="Type of the weights: float32, bfloat16 or float16.")
]
Base = Annotated[str | None, typer.Option("--base", help="An adapter's base, where it has moved.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def load_plugins(paths: list[Path] | None) -> tuple[str, ...]:
    """Runs the plugin files; returns their full paths, for worker processes."""
    from clearbench.plugins import load_plugin

    for path in paths or ():
        load_plugin(path)
    return tuple(str(path.resolve()) for path in paths or ())


def whom(forget: str | None) -> int | str | None:
    """Parses a number of people, or the name of a split."""
    return int(forget) if forget is not None and forget.isdecimal() else forget


def assignments(pairs: list[str] | None) -> dict[str, Any]:
    """Parses the values of repeated `name=value` options."""
    import yaml

    values = {}
    for pair in pairs or ():
        key, separator, text = pair.partition("=")
        if not separator:
            raise RecipeError(f"'{pair}' is not name=value", "command line", "write steps=30")
        values[key] = yaml.safe_load(text)
    return values
