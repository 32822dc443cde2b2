"""What there is."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clearbench.cli.options import Json, Plugins, load_plugins


def list_(
    what: Annotated[str, typer.Argument(help="methods, metrics, protocols, ... or recipes")],
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """What there is: methods, metrics, attacks, protocols, datasets, models, recipes."""
    from clearbench.catalogue import catalogue

    load_plugins(plugin)
    rows = catalogue(what)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        Console().print(f"no {what} in this version")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
