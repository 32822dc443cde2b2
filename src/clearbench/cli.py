"""The command line: one thin command per step of the road."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from clearbench.errors import ClearbenchError, RecipeError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Did the model really forget this person?",
)
runs_app = typer.Typer(no_args_is_help=True, help="Runs that are there: list, show, verify, prune.")
app.add_typer(runs_app, name="runs")

Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results.")]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="Python file with a method.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes.")]
Store = Annotated[Path | None, typer.Option("--store", help="Stages shared between runs.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


def main() -> None:
    """Runs the command line; a mistake a user can correct is shown without a stack trace."""
    _quiet_libraries()
    try:
        app()
    except ClearbenchError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; run the same command again to go on")
        sys.exit(130)


def _quiet_libraries() -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.getLogger().setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|peft|accelerate)\..*")


def _plugins(paths: list[Path] | None) -> tuple[str, ...]:
    from clearbench.methods.base import load_plugin

    for path in paths or ():
        load_plugin(path)
    return tuple(str(path.resolve()) for path in paths or ())


def _run(recipe: Any, out: Path, plugins: tuple[str, ...], workers: int | None,
         store: Path | None) -> None:  # fmt: skip
    from clearbench.report.summary import print_summary
    from clearbench.runs.execute import Runtime
    from clearbench.runs.run import DETAILS, PAGE, run
    from clearbench.storage import read_json

    given = {"workers": workers} if workers else {}
    runtime = Runtime(plugins=plugins, **given)
    results = run(recipe, out, runtime, Console(stderr=True), store)
    print_summary(results, read_json(out / DETAILS), out / PAGE, Console())
    if any(row["status"] == "failed" for row in results["rows"]):
        sys.exit(1)


@app.command()
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


@app.command()
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

    plugins = _plugins(plugin)
    resolved = load_recipe(recipe, changes)
    folder = out or Path("runs") / resolved.name
    if plan:
        show_plan(resolved, folder, Console(), store)
    else:
        _run(resolved, folder, plugins, workers, store)


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="Folder for the people.")],
    people: Annotated[int, typer.Option(min=2)] = 40,
    forget: Annotated[int, typer.Option(min=1)] = 8,
    strangers: Annotated[int, typer.Option(min=0)] = 8,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    render: Annotated[bool, typer.Option(help="Draw new faces (needs clearbench[build]).")] = False,
    workers: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Makes fictitious people: questions, answers, portraits, captions."""
    from clearbench.people.build import build_folder

    counts = build_folder(out, people, forget, strangers, seed, render=render, workers=workers)
    table = Table("configuration", "rows")
    for name, rows in counts.items():
        table.add_row(name, str(rows))
    Console().print(table)


@app.command()
def validate(
    source: Annotated[str, typer.Argument(help="A recipe or a dataset folder.")],
    plugin: Plugins = None,
) -> None:
    """Checks a recipe or a dataset without running anything."""
    from clearbench.data.dataset import SPLITS
    from clearbench.data.load import load_dataset
    from clearbench.runs.recipe import builtin_recipes, load_recipe

    _plugins(plugin)
    console = Console()
    if source in builtin_recipes() or source.endswith((".yaml", ".yml")):
        recipe = load_recipe(source)
        runs = sum(len(each.modalities) for each in recipe.runs)
        console.print(f"{recipe.name}: {len(recipe.models)} models, {runs} runs, all keys known")
        return
    dataset = load_dataset(source)
    table = Table("split", "people", "training rows", "measured rows")
    for split in dict.fromkeys([*dataset.training, *SPLITS]):
        counts = [len(rows.get(split, ())) for rows in (dataset.training, dataset.evaluation)]
        table.add_row(split, str(len(dataset.people(split))), *map(str, counts))
    console.print(table)


@app.command()
def finetune(
    model: Annotated[str, typer.Option(help="A folder, a hub id, or `builtin`.")],
    data: Annotated[str, typer.Option(help="A dataset folder, or `builtin`.")],
    out: Annotated[Path, typer.Option("--out")],
    without_forget: Annotated[bool, typer.Option(help="Make a gold model.")] = False,
    kind: Annotated[str, typer.Option(help="Kind of a built-in model.")] = "vision-language",
    seed: int = 0,
    set: Annotated[list[str] | None, typer.Option(help="Training field=value.")] = None,
) -> None:
    """Teaches a model the people of a dataset."""
    from clearbench import api
    from clearbench.data.load import load_dataset

    dataset = load_dataset(data)
    api.finetune(
        _model(model, kind, dataset), dataset, out=out, seed=seed,
        without=("forget",) if without_forget else (), **_assignments(set),
    )  # fmt: skip
    Console().print(f"saved to {out}")


@app.command()
def unlearn(
    model: Annotated[str, typer.Option(help="The original: a folder or hub id.")],
    out: Annotated[Path, typer.Option("--out")],
    data: Annotated[str | None, typer.Option(help="A dataset folder.")] = None,
    forget: Annotated[Path | None, typer.Option(help="JSON lines: question, answer.")] = None,
    retain: Annotated[Path | None, typer.Option(help="JSON lines: question, answer.")] = None,
    method: str = "npo",
    modality: str = "both",
    seed: int = 0,
    set: Annotated[list[str] | None, typer.Option(help="Training field=value.")] = None,
    hyper: Annotated[list[str] | None, typer.Option(help="Hyper-parameter=value.")] = None,
    plugin: Plugins = None,
) -> None:
    """Removes people from a model."""
    from clearbench import api
    from clearbench.data.jsonl import read_pairs
    from clearbench.data.load import load_dataset
    from clearbench.models.load import load_model
    from clearbench.training.settings import TrainSettings

    _plugins(plugin)
    if (data is None) == (forget is None):
        raise RecipeError("nothing to forget", "unlearn", "give --data, or --forget (--retain)")
    dataset = load_dataset(data) if data is not None else read_pairs(forget, retain)
    if not dataset.train_rows("forget", ("image",)):
        modality = "text"
    settings = TrainSettings.model_validate({"steps": 30, **_assignments(set)})
    api.unlearn(
        load_model(model), dataset, method, modality,  # type: ignore[arg-type]
        settings=settings, seed=seed, out=out, **_assignments(hyper),
    )  # fmt: skip
    Console().print(f"saved to {out}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Option(help="A folder or hub id.")],
    data: Annotated[str, typer.Option(help="A dataset folder, or `builtin`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the records.")],
    limit: Annotated[int | None, typer.Option(help="Rows per split and task.")] = None,
) -> None:
    """Measures a model once; `score` computes every metric from the records."""
    from clearbench.data.load import load_dataset
    from clearbench.evaluation.engine import evaluate as measure
    from clearbench.models.load import load_model
    from clearbench.storage import new_folder

    dataset, loaded = load_dataset(data), load_model(model)
    if loaded.kind == "classifier":
        dataset = dataset.naming()
    records = measure(loaded, dataset, limit=limit)
    with new_folder(out, {"model": model, "data": data}) as folder:
        records.save(folder)
    Console().print(f"{len(records.answers)} answers scored, records in {out}")


@app.command()
def score(
    log: Annotated[Path, typer.Argument(help="A folder of records.")],
    reference: Annotated[Path | None, typer.Option(help="The gold model's records.")] = None,
    protocol: str = "clear",
    as_json: Json = False,
) -> None:
    """Computes every score of a model from its records."""
    from clearbench.evaluation.protocols import protocol as named
    from clearbench.evaluation.records import Records
    from clearbench.evaluation.scoring import score as compute

    gold = Records.load(reference) if reference else None
    scores = compute(Records.load(log), gold, None, protocol)
    if as_json:
        content = {key: each.model_dump(mode="json") for key, each in scores.items()}
        about = {"protocol": protocol, "version": named(protocol).version, "scores": content}
        typer.echo(json.dumps(about, indent=1))
        return
    table = Table("score", "value", "95 %", "n", "gold")
    for key, each in scores.items():
        interval = f"{each.low:.3f} to {each.high:.3f}" if each.low is not None else ""
        gold_value = f"{each.gold:.3f}" if each.gold is not None else ""
        table.add_row(key, f"{each.value:.4g}", interval, str(each.n), gold_value)
    Console().print(table)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder.")],
) -> None:
    """Writes the page of a run again from its results."""
    from clearbench.report.html import write_report
    from clearbench.runs.run import DETAILS, PAGE, RESULTS
    from clearbench.storage import read_json

    write_report(read_json(folder / RESULTS), read_json(folder / DETAILS), folder / PAGE)
    Console().print(str(folder / PAGE))


@app.command()
def view(folder: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Shows a run's summary and opens its page in the browser, where there is one."""
    from clearbench.report.summary import print_summary
    from clearbench.runs.run import DETAILS, PAGE, RESULTS
    from clearbench.storage import read_json

    results = read_json(folder / RESULTS)
    print_summary(results, read_json(folder / DETAILS), folder / PAGE, Console())
    if sys.stdout.isatty():
        typer.launch(str(folder / PAGE))


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="methods, metrics, protocols, ... or recipes")],
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """What there is: methods, metrics, attacks, protocols, datasets, models, recipes."""
    from clearbench.catalogue import catalogue

    _plugins(plugin)
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


@app.command()
def doctor(source: Annotated[str | None, typer.Argument(help="A dataset or model.")] = None) -> None:
    """Says what this machine has, and what is wrong with a dataset or model."""
    from clearbench.catalogue import diagnose

    for line in diagnose(source):
        Console().print(line, highlight=False)


@runs_app.command("list")
def runs_list(folder: Annotated[Path, typer.Argument()] = Path("runs")) -> None:
    """The runs below a folder."""
    from clearbench.runs.folders import list_runs

    table = Table("folder", "recipe", "rows", "not ok")
    for row in list_runs(folder):
        table.add_row(*map(str, row))
    Console().print(table)


@runs_app.command("show")
def runs_show(folder: Path) -> None:
    """A run's rows."""
    from clearbench.runs.folders import show_run

    table = Table("row", "status", "forget.text.probability", "forget.image.probability", "reason")
    for row in show_run(folder):
        table.add_row(*row)
    Console().print(table)


@runs_app.command("verify")
def runs_verify(
    folder: Annotated[Path | None, typer.Argument(help="A run to check byte by byte.")] = None,
    same: Annotated[
        tuple[Path, Path] | None, typer.Option("--same", help="Two runs or results to compare.")
    ] = None,
) -> None:
    """Checks that a run's files are what they were, or that two runs gave the same numbers."""
    from clearbench.runs.folders import differences, verify_run

    problems = differences(*same) if same else verify_run(folder or Path("runs/demo"))
    for problem in problems:
        Console().print(problem, markup=False, highlight=False)
    if problems:
        sys.exit(1)
    Console().print("the same" if same else "whole")


@runs_app.command("prune")
def runs_prune(
    folder: Path,
    yes: Annotated[bool, typer.Option("--yes", help="Really delete.")] = False,
) -> None:
    """Removes stages that the run's recipe no longer needs."""
    from clearbench.runs.folders import prune_run

    for name in prune_run(folder, really=yes):
        Console().print(f"{'removed' if yes else 'would remove'} {name}", highlight=False)


def _model(source: str, kind: str, dataset: Any) -> Any:
    from clearbench.models.builtin import builtin_model
    from clearbench.models.load import load_model

    if source != "builtin":
        return load_model(source)
    people = sorted(dataset.people("forget") | dataset.people("retain"))
    return builtin_model(kind, [dataset.names[person] for person in people])  # type: ignore[arg-type]


def _assignments(pairs: list[str] | None) -> dict[str, Any]:
    import yaml

    found = {}
    for pair in pairs or ():
        key, separator, text = pair.partition("=")
        if not separator:
            raise RecipeError(f"'{pair}' is not name=value", "command line", "write steps=30")
        found[key] = yaml.safe_load(text)
    return found
