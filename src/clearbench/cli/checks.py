"""Commands that check recipes, datasets, models, and this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clearbench.cli.options import Base, Dtype, Json, Plugins, load_plugins
from clearbench.errors import DataError, ModelError

if TYPE_CHECKING:
    from clearbench.data.checks import Checkup
    from clearbench.data.dataset import Dataset
    from clearbench.models.base import Model

#: Number of odd rows or problems that are shown; the rest is counted.
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

    checkup = check(source)
    if as_json:
        typer.echo(json.dumps(_as_json(checkup), indent=1))
    else:
        _show_counts(checkup, Console())
    if not checkup.ok:
        sys.exit(2)


def _validate_recipe(source: str, as_json: bool) -> None:
    from clearbench.runs.recipe import load_recipe

    recipe = load_recipe(source)
    runs = sum(len(run.modalities) for run in recipe.runs)
    if as_json:
        about = {"recipe": recipe.name, "models": list(recipe.models), "runs": runs, "ok": True}
        typer.echo(json.dumps(about, indent=1))
    else:
        Console().print(f"{recipe.name}: {len(recipe.models)} models, {runs} runs, all keys known")


def _as_json(checkup: Checkup) -> dict[str, Any]:
    return {
        "source": checkup.source,
        "layout": checkup.layout,
        "ok": checkup.ok,
        "configurations": [
            {"name": entry.name, "expected": entry.expected, "found": entry.found, "ok": entry.ok}
            for entry in checkup.configurations
        ],
        "splits": _splits(checkup.dataset) if checkup.dataset else [],
        "problems": list(checkup.problems),
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
    dtype: Dtype = "float32",
    base: Base = None,
) -> None:
    """Says how a dataset or model is read and every problem of it; without one, this machine's."""
    from clearbench.data.checks import check
    from clearbench.doctor import examine, is_model, machine
    from clearbench.models.load import load_model

    console = Console(soft_wrap=True)
    if source is None:
        ok = _show_lines(machine(), console)
    elif is_model(source):
        ok = _show_lines(examine(load_model(source, dtype=dtype, base=base)), console)
    else:
        try:
            ok = _show_dataset(check(source), console)
        except DataError as no_data:
            ok = _show_lines(examine(_model(source, no_data, dtype, base)), console)
    if not ok:
        sys.exit(2)


def _model(source: str, no_data: DataError, dtype: str, base: str | None) -> Model:
    """Loads a model from a source that is no dataset."""
    from clearbench.models.load import load_model

    try:
        return load_model(source, dtype=dtype, base=base)
    except ModelError as no_model:
        what = f"neither a dataset nor a model\n  {no_data.what}\n  {no_model.what}"
        raise DataError(what, no_data.where, no_data.fix) from no_model


def _show_lines(lines: Iterable[tuple[str, str]], console: Console) -> bool:
    """Prints findings; returns whether none of them is a problem."""
    from clearbench.doctor import PROBLEM

    table, findings = Table(box=None, show_header=False), list(lines)
    for what, value in findings:
        table.add_row(what, Text(value))
    console.print(table)
    return all(what != PROBLEM for what, _ in findings)


def _show_counts(checkup: Checkup, console: Console) -> None:
    if checkup.configurations:
        table = Table("configuration", "expected", "found", "")
        for entry in checkup.configurations:
            expected = "varies" if entry.expected is None else f"{entry.expected:,}"
            count = "missing" if entry.found is None else f"{entry.found:,}"
            table.add_row(entry.name, expected, count, "" if entry.ok else "differs")
        console.print(table)
    _show_splits(checkup, console)
    _show_some("problem", checkup.problems, console)
    wrong = sum(not entry.ok for entry in checkup.configurations)
    if wrong:
        console.print(f"{wrong} of {len(checkup.configurations)} counts are not the published ones")


def _show_dataset(checkup: Checkup, console: Console) -> bool:
    """Prints where every column goes; returns whether the data can be loaded."""
    from clearbench.data.checks import odd_rows

    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for entry in checkup.configurations:
        goes = tuple(f"{name} -> {', '.join(to) or 'unread'}" for name, to in entry.fields.items())
        count = "none" if entry.found is None else f"{entry.found:,}"
        alike.setdefault((goes, entry.missing), []).append(f"{entry.name}: {count}")
    if alike:
        table = Table("configurations", "columns and where they go", "missing columns")
        for (goes, missing), names in alike.items():
            table.add_row("\n".join(names), "\n".join(goes), "\n".join(missing))
            table.add_section()
        console.print(table)
    _show_splits(checkup, console)
    _show_some("problem", checkup.problems, console)
    if checkup.dataset is not None:
        _show_some("odd row", list(odd_rows(checkup.dataset)), console)
    return not checkup.problems


def _show_splits(checkup: Checkup, console: Console) -> None:
    if checkup.dataset is None:
        return
    table = Table("split", "people", "training rows", "measured rows")
    for split in _splits(checkup.dataset):
        table.add_row(*map(str, split.values()))
    console.print(table)


def _show_some(what: str, lines: Sequence[str], console: Console) -> None:
    console.print(f"{what}s: {len(lines)}" if lines else f"no {what}s")
    for line in lines[:SHOWN]:
        console.print(f"  {line}", markup=False, highlight=False)
    if len(lines) > SHOWN:
        console.print(f"  and {len(lines) - SHOWN} more")
