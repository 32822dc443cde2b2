"""Whole recipes: run them, look at what came out."""

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

    plugins = load_plugins(plugin)
    resolved = load_recipe(recipe, changes)
    folder = out or Path("runs") / resolved.name
    if plan:
        _show_plan(resolved, folder, store)
    else:
        _run(resolved, folder, plugins, workers, store)


def _show_plan(recipe: Recipe, out: Path, store: Path | None) -> None:
    """Prints every stage, whether it will be made, and why."""
    from clearbench.runs.reasons import reasons
    from clearbench.runs.run import STAGES, data_stage, plan_run
    from clearbench.runs.store import Store

    found = reasons([data_stage(recipe)], Store(store or out / STAGES))
    planned = plan_run(recipe, out, store)
    found += reasons(planned.stages, planned.store)
    for reason in found:
        line = f"{reason.action:5}  {reason.stage.key}: {reason.why}"
        Console(soft_wrap=True).print(line, markup=False, highlight=False)
    made = sum(reason.action == "make" for reason in found)
    Console().print(f"{made} of {len(found)} stages to make")


def _run(
    recipe: Recipe,
    out: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    store: Path | None,
) -> None:
    from clearbench.report.html import write_report
    from clearbench.report.summary import print_summary
    from clearbench.runs.display import progress_console
    from clearbench.runs.execute import Runtime
    from clearbench.runs.run import DETAILS, PAGE, run
    from clearbench.storage import read_json

    runtime = Runtime(plugins=plugins)
    if workers is not None:
        runtime = Runtime(plugins=plugins, workers=workers)
    results = run(recipe, out, runtime, progress_console(), store)
    write_report(results, read_json(out / DETAILS), out / PAGE)
    print_summary(results, read_json(out / DETAILS), out / PAGE, Console())
    if any(row["status"] == "failed" for row in results["rows"]):
        sys.exit(1)


def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
) -> None:
    """Writes the page of a run again from its results."""
    from clearbench.report.html import write_report
    from clearbench.runs.run import DETAILS, PAGE, RESULTS
    from clearbench.storage import read_json

    write_report(read_json(folder / RESULTS), read_json(folder / DETAILS), folder / PAGE)
    Console().print(str(folder / PAGE))


def view(folder: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Shows a run's summary and opens its page in the browser, where there is one."""
    from clearbench.report.summary import print_summary
    from clearbench.runs.run import DETAILS, PAGE, RESULTS
    from clearbench.storage import read_json

    results = read_json(folder / RESULTS)
    print_summary(results, read_json(folder / DETAILS), folder / PAGE, Console())
    if sys.stdout.isatty():
        typer.launch(str(folder / PAGE))
