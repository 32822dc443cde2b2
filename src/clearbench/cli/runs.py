"""Commands on finished runs: list, show, verify, best, prune."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from clearbench.cli.options import Json, Plugins, Store, load_plugins
from clearbench.cli.output import say, show_table

_RUN = Annotated[Path, typer.Argument(help="A run's folder.")]


def runs_list(
    folder: Annotated[Path, typer.Argument(help="Folder to search.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Lists runs below a folder, and what finetune, unlearn, evaluate, attack and audit left.

    A damaged one is named, and the exit status is 2.
    """
    from clearbench.cli.found import list_folders
    from clearbench.runs.folders import list_runs

    runs, damaged = list_runs(folder)
    folders, damaged_too = list_folders(folder)
    damaged += damaged_too
    if as_json:
        found = {
            "runs": [run._asdict() for run in runs],
            "folders": [each._asdict() for each in folders],
            "damaged": damaged,
        }
        typer.echo(json.dumps(found, indent=1))
    elif runs or folders:
        if runs:
            columns = ("folder", "recipe", "rows", "not ok")
            show_table(columns, [tuple(map(str, run)) for run in runs], dropped_first=("recipe",))
        if runs and folders:
            say("")
        if folders:
            show_table(
                ("folder", "made by", "what", "found"), folders, dropped_first=("found", "what")
            )
    elif not damaged:
        say(f"no runs below {folder}")
    if damaged:
        say(*(damaged if not as_json else ()))
        sys.exit(2)


def runs_show(folder: _RUN, as_json: Json = False) -> None:
    """Shows a run's rows."""
    from clearbench.runs.folders import show_run

    rows = show_run(folder)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    columns = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    show_table(
        columns,
        [[row[name] for name in columns] for row in rows],
        dropped_first=(
            "reason", "forget.image.probability", "forget.text.probability", "verdict",
        ),
        all_of_it="--json, or pipe it through `cat`",
    )  # fmt: skip


def runs_verify(
    folder: Annotated[Path | None, typer.Argument(help="A run to check byte by byte.")] = None,
    same: Annotated[
        tuple[Path, Path] | None, typer.Option("--same", help="Two runs or results to compare.")
    ] = None,
    plugin: Plugins = None,
    store: Store = None,
) -> None:
    """Checks that a run's files are what they were, or that two runs gave the same numbers.

    Says too what the stages were made of that has changed since.
    """
    from clearbench.runs.folders import differences
    from clearbench.runs.verify import verify_run

    load_plugins(plugin)
    if same:
        problems, notes = differences(*same), tuple[str, ...]()
    else:
        verified = verify_run(folder or Path("runs/demo"), store)
        problems, notes = list(verified.damaged), verified.changed
    say(*problems, *notes)
    if problems:
        sys.exit(1)
    since = "; run the recipe again to make what has changed" if notes else ""
    say("the same" if same else f"whole{since}")


def runs_best(folder: _RUN) -> None:
    """Prints the best settings of a search on the validation fold, as a recipe's `runs`."""
    import yaml

    from clearbench.runs.choose import as_recipe_runs, best_runs

    typer.echo(yaml.safe_dump(as_recipe_runs(best_runs(folder)), sort_keys=False, width=100))


def runs_prune(
    folders: Annotated[list[Path], typer.Argument(help="Runs; with --store, all that share it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Really delete.")] = False,
    plugin: Plugins = None,
    store: Store = None,
) -> None:
    """Removes stages that the recipes of these runs no longer need."""
    from clearbench.runs.prune import prune_runs

    load_plugins(plugin)
    for name in prune_runs(folders, store, really=yes):
        say(f"{'removed' if yes else 'would remove'} {name}")
