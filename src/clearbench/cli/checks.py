"""Is it what it should be? Recipes, datasets, models, and this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clearbench.cli.options import Json, Plugins, load_plugins
from clearbench.errors import DataError, ModelError

if TYPE_CHECKING:
    from clearbench.data.checks import Checkup
    from clearbench.data.dataset import Dataset
    from clearbench.models.base import Model

#: As many odd rows or problems are shown; the rest is counted.
SHOWN = 20


def validate(
    source: Annotated[str, typer.Argument(help="A recipe, a dataset folder, or a hub id.")],
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Checks a recipe or a dataset against what it should be: exit status 0, or 2 if it is not."""
    from clearbench.runs.recipe import builtin_recipes

    load_plugins(plugin)
    if source in builtin_recipes() or source.endswith((".yaml", ".yml")):
        _validate_recipe(source, as_json)
        return
    from clearbench.data.checks import check

    found = check(source)
    if as_json:
        typer.echo(json.dumps(_as_json(found), indent=1))
    else:
        _show_counts(found, Console())
    if not found.ok:
        sys.exit(2)


def _validate_recipe(source: str, as_json: bool) -> None:
    from clearbench.runs.recipe import load_recipe

    recipe = load_recipe(source)
    runs = sum(len(each.modalities) for each in recipe.runs)
    if as_json:
        about = {"recipe": recipe.name, "models": list(recipe.models), "runs": runs, "ok": True}
        typer.echo(json.dumps(about, indent=1))
    else:
        Console().print(f"{recipe.name}: {len(recipe.models)} models, {runs} runs, all keys known")


def _as_json(found: Checkup) -> dict[str, Any]:
    return {
        "source": found.source,
        "layout": found.layout,
        "ok": found.ok,
        "configurations": [
            {"name": each.name, "expected": each.expected, "found": each.found, "ok": each.ok}
            for each in found.configurations
        ],
        "splits": _splits(found.dataset) if found.dataset else [],
        "problems": list(found.problems),
    }


def _splits(dataset: Dataset) -> list[dict[str, Any]]:
    from clearbench.data.dataset import SPLITS

    return [
        {
            "name": split,
            "people": len(dataset.people(split)),
            "training": len(dataset.training.get(split, ())),
            "measured": len(dataset.evaluation.get(split, ())),
        }
        for split in dict.fromkeys([*dataset.training, *SPLITS])
    ]


def doctor(
    source: Annotated[str | None, typer.Argument(help="A dataset or model.")] = None,
) -> None:
    """Says how a dataset or model is read and every problem of it; without one, this machine's."""
    from clearbench.data.checks import check
    from clearbench.doctor import examine, is_model, machine
    from clearbench.models.load import load_model

    console = Console(soft_wrap=True)
    if source is None:
        ok = _show_lines(machine(), console)
    elif is_model(source):
        ok = _show_lines(examine(load_model(source)), console)
    else:
        try:
            ok = _show_dataset(check(source), console)
        except DataError as no_data:
            ok = _show_lines(examine(_model(source, no_data)), console)
    if not ok:
        sys.exit(2)


def _model(source: str, no_data: DataError) -> Model:
    """A hub id is a model's where it is no dataset's."""
    from clearbench.models.load import load_model

    try:
        return load_model(source)
    except ModelError as no_model:
        what = f"neither a dataset nor a model\n  {no_data.what}\n  {no_model.what}"
        raise DataError(what, no_data.where, no_data.fix) from no_model


def _show_lines(lines: Iterable[tuple[str, str]], console: Console) -> bool:
    """Shows findings; whether none of them is a problem."""
    from clearbench.doctor import PROBLEM

    table, found = Table(box=None, show_header=False), list(lines)
    for what, value in found:
        table.add_row(what, Text(value))
    console.print(table)
    return all(what != PROBLEM for what, _ in found)


def _show_counts(found: Checkup, console: Console) -> None:
    if found.configurations:
        table = Table("configuration", "expected", "found", "")
        for each in found.configurations:
            expected = "varies" if each.expected is None else f"{each.expected:,}"
            count = "missing" if each.found is None else f"{each.found:,}"
            table.add_row(each.name, expected, count, "" if each.ok else "differs")
        console.print(table)
    _show_splits(found, console)
    _show_some("problem", found.problems, console)
    wrong = sum(not each.ok for each in found.configurations)
    if wrong:
        console.print(f"{wrong} of {len(found.configurations)} counts are not the published ones")


def _show_dataset(found: Checkup, console: Console) -> bool:
    """Shows where every column goes; whether the data can be loaded."""
    from clearbench.data.checks import odd_rows

    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for each in found.configurations:
        goes = tuple(f"{name} -> {', '.join(to) or 'unread'}" for name, to in each.fields.items())
        count = "none" if each.found is None else f"{each.found:,}"
        alike.setdefault((goes, each.missing), []).append(f"{each.name}: {count}")
    if alike:
        table = Table("configurations", "columns and where they go", "missing columns")
        for (goes, missing), names in alike.items():
            table.add_row("\n".join(names), "\n".join(goes), "\n".join(missing))
            table.add_section()
        console.print(table)
    _show_splits(found, console)
    _show_some("problem", found.problems, console)
    if found.dataset is not None:
        _show_some("odd row", list(odd_rows(found.dataset)), console)
    return not found.problems


def _show_splits(found: Checkup, console: Console) -> None:
    if found.dataset is None:
        return
    table = Table("split", "people", "training rows", "measured rows")
    for each in _splits(found.dataset):
        table.add_row(*map(str, each.values()))
    console.print(table)


def _show_some(what: str, lines: Sequence[str], console: Console) -> None:
    console.print(f"{what}s: {len(lines)}" if lines else f"no {what}s")
    for line in lines[:SHOWN]:
        console.print(f"  {line}", markup=False, highlight=False)
    if len(lines) > SHOWN:
        console.print(f"  and {len(lines) - SHOWN} more")
