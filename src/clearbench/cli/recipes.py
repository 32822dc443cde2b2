"""Commands on whole recipes: run one, write its page again, show its summary."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from clearbench.cli.options import Out, Plugins, Store, Workers, load_plugins

if TYPE_CHECKING:
    from clearbench.runs.recipe import Recipe


def demo(
    changes: Annotated[list[str] | None, typer.Argument(help="key.sub=value")] = None,
    out: Out = None,
    seed: Annotated[int | None, typer.Option(help="Other people.")] = None,
    workers: Workers = None,
) -> None:
    """The whole road on built-in people and models, offline, in a few minutes."""
    from clearbench.runs.recipe import load_recipe

    wanted = [*(changes or []), *([f"seed={seed}"] if seed is not None else [])]
    _run(load_recipe("demo", wanted), out or Path("runs/demo"), (), workers, None)


def run(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or a name from `list recipes`.")],
    changes: Annotated[list[str] | None, typer.Argument(help="key.sub=value")] = None,
    out: Out = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show the stages.")] = False,
    plugin: Plugins = None,
    workers: Workers = None,
    store: Store = None,
) -> None:
    """Runs a recipe; run it again to go on where it stopped."""
    from clearbench.runs.recipe import load_recipe
    from clearbench.runs.run import show_plan

    plugins = load_plugins(plugin)
    resolved = load_recipe(recipe, changes)
    folder = out or Path("runs") / resolved.name
    if plan:
        show_plan(resolved, folder, Console(), store)
    else:
        _run(resolved, folder, plugins, workers, store)


def _run(
    recipe: Recipe,
    out: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    store: Path | None,
) -> None:
    from clearbench.api import run_recipe
    from clearbench.runs.execute import Runtime

    runtime = Runtime(plugins=plugins)
    if workers is not None:
        runtime = Runtime(plugins=plugins, workers=workers)
    results = run_recipe(recipe, out, runtime=runtime, store=store, console=Console(stderr=True))
    _summary(out)
    if any(row.status == "failed" for row in results.rows):
        sys.exit(1)


def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
) -> None:
    """Writes the page of a run again from its results."""
    from clearbench.report.html import write_page

    Console().print(str(write_page(folder)))


def view(folder: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Shows a run's summary and opens its page in the browser, where there is one."""
    page = _summary(folder)
    if sys.stdout.isatty():
        typer.launch(str(page))


def _summary(folder: Path) -> Path:
    """Prints the summary of a run, and returns its page, which is written where it is not."""
    from clearbench.report.html import refresh_page
    from clearbench.report.summary import print_summary
    from clearbench.runs.schema import read_details, read_results

    page = refresh_page(folder)
    print_summary(read_results(folder), read_details(folder), page, Console())
    return page
