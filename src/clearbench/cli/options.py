"""Options that several commands share, and their parsing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", help="Python file with a method, metric, attack, modality or dataset."
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes.")]
Store = Annotated[Path | None, typer.Option("--store", help="Stages shared between runs.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def load_plugins(paths: list[Path] | None) -> tuple[str, ...]:
    """Runs the plugin files; returns their full paths, for worker processes."""
    from clearbench.plugins import load_plugin

    for path in paths or ():
        load_plugin(path)
    return tuple(str(path.resolve()) for path in paths or ())
