"""Options that several commands share, and their parsing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
Dtype = Annotated[
    str, typer.Option("--dtype", help="Type of the weights: float32, bfloat16 or float16.")
]
Device = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:1, mps; auto is the one that is there.")
]
Base = Annotated[str | None, typer.Option("--base", help="An adapter's base, where it has moved.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def load_plugins(paths: list[Path] | None) -> tuple[str, ...]:
    """Runs the plugin files, each once; returns their full paths, for worker processes.

    Raises:
        RecipeError: A file cannot be run, or two files have one name, by which stages know them.
    """
    from clearbench.plugins import load_plugin

    files = list(dict.fromkeys(path.resolve() for path in paths or ()))
    for path in files:
        twin = next((other for other in files if other.stem == path.stem and other != path), None)
        if twin is not None:
            raise RecipeError(
                f"two plugins are called {path.name}", f"{path}, {twin}", "rename one"
            )
    for path in files:
        load_plugin(path)
    return tuple(map(str, files))
