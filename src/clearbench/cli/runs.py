"""Commands on finished runs: list, show, verify, best, prune."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clearbench.cli.options import Plugins, Store, load_plugins

app = typer.Typer(no_args_is_help=True, help="Finished runs: list, show, verify, prune.")


@app.command("list")
def runs_list(folder: Annotated[Path, typer.Argument()] = Path("runs")) -> None:
    """Lists the runs below a folder."""
    from clearbench.runs.folders import list_runs

    table = Table("folder", "recipe", "rows", "not ok")
    for row in list_runs(folder):
        table.add_row(*map(str, row))
    Console().print(table)


@app.command("show")
def runs_show(folder: Path) -> None:
    """Shows a run's rows."""
    from clearbench.runs.folders import show_run

    table = Table("row", "status", "forget.text.probability", "forget.image.probability", "reason")
    for row in show_run(folder):
        table.add_row(*row)
    Console().print(table)


@app.command("verify")
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
    from clearbench.runs.upkeep import verify_run

    load_plugins(plugin)
    if same:
        problems, notes = differences(*same), tuple[str, ...]()
    else:
        verified = verify_run(folder or Path("runs/demo"), store)
        problems, notes = list(verified.damaged), verified.changed
    for line in (*problems, *notes):
        Console().print(line, markup=False, highlight=False, soft_wrap=True)
    if problems:
        sys.exit(1)
    since = "; run the recipe again to make what has changed" if notes else ""
    Console().print("the same" if same else f"whole{since}")


@app.command("best")
def runs_best(folder: Path) -> None:
    """Prints the best settings of a search on the validation fold, as a recipe's `runs`."""
    import yaml

    from clearbench.runs.choose import as_recipe_runs, best_runs

    typer.echo(yaml.safe_dump(as_recipe_runs(best_runs(folder)), sort_keys=False, width=100))


@app.command("prune")
def runs_prune(
    folders: Annotated[list[Path], typer.Argument(help="Runs; with --store, all that share it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Really delete.")] = False,
    plugin: Plugins = None,
    store: Store = None,
) -> None:
    """Removes stages that the recipes of these runs no longer need."""
    from clearbench.runs.upkeep import prune_runs

    load_plugins(plugin)
    for name in prune_runs(folders, store, really=yes):
        Console().print(f"{'removed' if yes else 'would remove'} {name}", highlight=False)
