"""Command that lists methods, metrics and other entries."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from clearbench.catalogue import Rows, catalogue
from clearbench.cli.options import Json, Plugins, load_plugins


def list_(
    what: Annotated[str, typer.Argument(help="methods, metrics, protocols, ... or recipes")],
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Lists methods, metrics, attacks, protocols, datasets, models or recipes."""
    load_plugins(plugin)
    rows = catalogue(what)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        Console().print(f"no {what} in this version")
        return
    if "shows" in rows[0]:
        _explain(rows, Console())
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _explain(rows: Rows, console: Console) -> None:
    """Prints each row as a paragraph with its facts below, for rows too long for a table."""
    for row in rows:
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="dim", no_wrap=True)
        facts.add_column(overflow="fold")
        for key, value in row.items():
            if key not in ("name", "shows") and value not in ("", [], {}):
                facts.add_row(Text(key), Text(_paragraph(value)))
        console.print(Text(row["name"], style="bold"))
        console.print(Padding(Group(Text(row["shows"]), facts), (0, 0, 1, 2)))


def _paragraph(value: object) -> str:
    """Writes sentences and named lists each on a line of their own."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_cell(part)}" for key, part in value.items())
    sentences = isinstance(value, list) and any(": " in str(part) for part in value)
    return "\n".join(value) if isinstance(value, list) and sentences else _cell(value)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
