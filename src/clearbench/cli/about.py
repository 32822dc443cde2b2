"""Command that lists methods, metrics and other entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from clearbench.catalogue import catalogue
from clearbench.cli.options import Json, Plugins, load_plugins
from clearbench.cli.output import say, show_paragraphs, show_table

#: Columns of the lists in the order in which they give way on a narrow terminal.
_DROPPED_FIRST = (
    "hyperparameters", "paper", "needs", "modalities", "kinds", "artefact", "status", "models",
)  # fmt: skip


def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="methods, metrics, attacks, protocols, datasets, models or recipes",
        ),
    ],
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Lists methods, metrics, attacks, protocols, datasets, models or recipes."""
    load_plugins(plugin)
    rows = catalogue(what)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif not rows:
        say(f"no {what} in this version")
    elif "shows" in rows[0]:
        show_paragraphs([(row["name"], [row["shows"], *_facts(row)]) for row in rows])
    else:
        show_table(
            list(rows[0]),
            [
                [_paper(value) if key == "paper" else _cell(value) for key, value in row.items()]
                for row in rows
            ],
            dropped_first=_DROPPED_FIRST,
            wrapped="does" if "does" in rows[0] else "what",
            all_of_it="--json, or pipe it through `cat`",
        )


def _facts(row: Mapping[str, Any]) -> list[str]:
    """Writes what is known of an entry besides name and meaning, a line each."""
    lines = []
    for key, value in row.items():
        if key in ("name", "shows") or value in ("", [], {}):
            continue
        if isinstance(value, dict):
            lines += [f"{key}: {part}: {_cell(words)}" for part, words in value.items()]
        elif isinstance(value, list) and any(": " in str(part) for part in value):
            lines += [f"{key}: {part}" for part in value]
        else:
            lines.append(f"{key}: {_cell(value)}")
    return lines


def _paper(paper: Mapping[str, Any]) -> str:
    return ", ".join(str(part) for part in paper.values() if part)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
