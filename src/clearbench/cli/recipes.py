"""Commands on whole recipes: run one, write its page again, show its summary."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from clearbench.cli.options import Device, Out, Plugins, Store, Workers, load_plugins
from clearbench.cli.output import check_writable, say
from clearbench.errors import RecipeError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clearbench.runs.foresight import Foreseen
    from clearbench.runs.recipe import Recipe
    from clearbench.runs.run_plan import RunPlan
    from clearbench.runs.stage import Stage


def demo(
    changes: Annotated[list[str] | None, typer.Argument(help="key.sub=value")] = None,
    out: Out = None,
    seed: Annotated[int | None, typer.Option(help="Other people.")] = None,
    workers: Workers = None,
    device: Device = "auto",
) -> None:
    """Runs all steps on built-in people and models, offline, in a few minutes."""
    from clearbench.runs.recipe import load_recipe

    wanted = [*(changes or []), *([f"seed={seed}"] if seed is not None else [])]
    check_writable(out or Path("runs/demo"))
    _run(load_recipe("demo", wanted), out or Path("runs/demo"), (), workers, None, device)


def run(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or a name from `list recipes`.")],
    changes: Annotated[list[str] | None, typer.Argument(help="key.sub=value")] = None,
    out: Out = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show the stages.")] = False,
    plugin: Plugins = None,
    workers: Workers = None,
    device: Device = "auto",
    store: Store = None,
) -> None:
    """Runs a recipe; run it again to go on where it stopped."""
    from clearbench.runs.recipe import load_recipe

    plugins = load_plugins(plugin)
    resolved = load_recipe(recipe, changes)
    folder = out or _default_folder(resolved.name)
    if plan:
        _show_plan(resolved, folder, store)
    else:
        check_writable(folder)
        _run(resolved, folder, plugins, workers, store, device)


def _default_folder(name: str) -> Path:
    """Returns the folder below `runs/` that a recipe's name stands for."""
    from clearbench.storage import inside

    try:
        inside(Path("runs"), name)
    except StorageError as error:
        raise RecipeError(error.what, "name", "rename the recipe, or give --out") from error
    return Path("runs") / name


def _show_plan(recipe: Recipe, out: Path, store: Path | None) -> None:
    """Prints every stage, whether it will be made, and why; what training takes is foreseen."""
    from clearbench.runs.data_part import data_stage
    from clearbench.runs.files import STAGES
    from clearbench.runs.reasons import reasons
    from clearbench.runs.run import plan_run
    from clearbench.runs.store import Store

    listed = reasons([data_stage(recipe.data, recipe.seed)], Store(store or out / STAGES))
    planned = plan_run(recipe, out, store, keep=False)
    listed += reasons(planned.stages, planned.store)
    to_make = [reason for reason in listed if reason.action == "make"]
    foreseen = _foreseen([reason.stage for reason in to_make], planned) if to_make else {}
    for reason in listed:
        say(f"{reason.action:5}  {reason.stage.key}: {reason.why}")
        if reason.stage.key in foreseen:
            say(f"{'':5}  {foreseen[reason.stage.key]}")
    memory = "; memory is that of training on a CPU, without libraries" if foreseen else ""
    say(f"{len(to_make)} of {len(listed)} stages to make{memory}")


def _foreseen(stages: Sequence[Stage], planned: RunPlan) -> dict[str, Foreseen]:
    """Foresees what stages that train take, by key."""
    from clearbench.runs.foresight import Foresight

    foresight = Foresight(planned.dataset)
    found = {stage.key: foresight.of(stage) for stage in stages}
    return {key: each for key, each in found.items() if each is not None}


def _run(
    recipe: Recipe,
    out: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    store: Path | None,
    device: str,
) -> None:
    from clearbench.benchmark import run_recipe
    from clearbench.devices import check_device
    from clearbench.runs.display import progress_console
    from clearbench.runs.execute import Runtime

    check_device(device)  # an error before work is spent
    runtime = Runtime(plugins=plugins, device=device, workers=workers)
    results = run_recipe(recipe, out, runtime=runtime, store=store, console=progress_console())
    _summary(out)
    if any(row.status == "failed" for row in results.rows):
        sys.exit(1)


def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    plugin: Plugins = None,
) -> None:
    """Writes the page of a run again from its results, with the words that the run kept."""
    from clearbench.report.html import write_page
    from clearbench.runs.made_of import file_digests
    from clearbench.runs.schema import read_results

    files = load_plugins(plugin)
    results = read_results(folder)
    say(str(write_page(folder)))
    recorded = {entry.name: entry.sha256 for entry in results.plugins}
    for name, digest in file_digests(files).items():
        if recorded.get(name) != digest:
            how = "has changed since the run" if name in recorded else "was not part of it"
            say(f"{name} {how}: `clearbench run` again, with --plugin, scores with it as it is")


def view(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
    plugin: Plugins = None,
) -> None:
    """Shows a run's summary and opens its page in the browser, where there is one."""
    load_plugins(plugin)
    page = _summary(folder)
    if sys.stdout.isatty():
        typer.launch(str(page))


def _summary(folder: Path) -> Path:
    """Prints the summary of a run, and returns its page, which is written where it is missing."""
    from clearbench.report.measures import failed_metrics
    from clearbench.report.refresh import refresh_page
    from clearbench.report.summary import print_summary
    from clearbench.runs.schema import read_details, read_results

    page, results = refresh_page(folder), read_results(folder)
    print_summary(results, read_details(folder), page, Console())
    for name, reason in failed_metrics(results):
        say(f"metric '{name}' failed, and gave no score: {reason}")
    return page
