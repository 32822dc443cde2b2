"""Commands that check recipes, datasets, models, and this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clearbench.cli.data import Forget, Holdout, Images, Retain, read_dataset
from clearbench.cli.options import Base, Dtype, Json, Plugins, load_plugins
from clearbench.cli.output import say, show_table
from clearbench.errors import DataError, ModelError

if TYPE_CHECKING:
    from clearbench.data.checks import Checkup
    from clearbench.data.dataset import Dataset
    from clearbench.models.base import Model

#: Number of odd rows or problems that are shown; the rest is counted.
SHOWN = 20


_SOURCE = "A recipe, a dataset, a file of own rows, or a hub id."


def validate(
    source: Annotated[str | None, typer.Argument(help=_SOURCE)] = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Checks a recipe or a dataset against what it should be: exit status 0, or 2 if it is not."""
    from clearbench.runs.recipe_file import builtin_recipes

    load_plugins(plugin)
    if source in builtin_recipes() or (source or "").endswith((".yaml", ".yml")):
        _validate_recipe(str(source), as_json)
        return
    checkup = _checkup("validate", source, forget, retain, images, holdout)
    if as_json:
        typer.echo(json.dumps(_as_json(checkup), indent=1))
    else:
        _show_counts(checkup)
    if not checkup.ok:
        sys.exit(2)


def _checkup(
    command: str,
    source: str | None,
    forget: str | None,
    retain: Path | None,
    images: Path | None,
    holdout: Path | None = None,
) -> Checkup:
    """Checks a dataset, or own rows in files of their own for each split."""
    from clearbench.data.checks import Checkup, check

    if source is not None and forget is None and retain is None and holdout is None:
        return _as_called(source, check(source, images), images)
    given = (source, forget, retain, holdout)
    named = ", ".join(str(part) for part in given if part is not None)
    try:
        dataset = read_dataset(command, source, forget, retain, images, holdout)
    except DataError as error:
        return Checkup(named, "own rows", (), error.problems, None)
    return Checkup(named, "own rows", (), (), dataset)


def _as_called(source: str, found: Checkup, images: Path | None) -> Checkup:
    """Takes the rows of a file that name no split for those of the split that it is called as."""
    from clearbench.data.checks import Checkup
    from clearbench.data.jsonl import read_pairs

    path, dataset = Path(source), found.dataset
    if dataset is None or not path.is_file() or set(dataset.evaluation) != {"retain"}:
        return found
    split = path.name.partition(".")[0].casefold()
    options = {"forget": (path, None, images, None), "holdout": (None, None, images, path)}
    if split not in options:
        note = "no row names a split, so that all are rows to keep; --forget FILE names others"
        return replace(found, notes=() if split == "retain" else (note,))
    note = f"no row names a split; the file is called as one, and is read as --{split} {source}"
    whole = read_pairs(*options[split])
    return Checkup(source, found.layout, (), (), whole, (note,))


def _validate_recipe(source: str, as_json: bool) -> None:
    from clearbench.runs.recipe import load_recipe

    recipe = load_recipe(source)
    runs = sum(len(run.modalities) for run in recipe.runs)
    if as_json:
        about = {"recipe": recipe.name, "models": list(recipe.models), "runs": runs, "ok": True}
        typer.echo(json.dumps(about, indent=1))
    else:
        say(f"{recipe.name}: {len(recipe.models)} models, {runs} runs, all keys known")


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
        "doubts": list(checkup.dataset.doubts) if checkup.dataset else [],
        "notes": list(checkup.notes),
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
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Datasets, files of own rows, models, in any order."),
    ] = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    base: Base = None,
) -> None:
    """Says how a dataset or model is read and every problem of it; without one, this machine's."""
    from clearbench.doctor import machine

    load_plugins(plugin)
    rows = any(path is not None for path in (forget, retain, holdout))
    if not sources and not rows:
        _show_lines(machine())
        return
    fine = []
    for source in sources or ():
        if len(sources or ()) > 1 or rows:
            say(f"{source}:")
        fine.append(_examined(source, None if rows else images, dtype, base))
    if rows:
        fine.append(_show_dataset(_checkup("doctor", None, forget, retain, images, holdout)))
    if not all(fine):
        sys.exit(2)


def _examined(source: str, images: Path | None, dtype: str, base: str | None) -> bool:
    """Shows how one dataset or model is read; returns whether it can be used."""
    from clearbench.doctor import examine, is_model
    from clearbench.models.load import load_model

    if is_model(source):
        return _show_lines(examine(load_model(source, dtype=dtype, base=base)))
    try:
        return _show_dataset(_checkup("doctor", source, None, None, images))
    except DataError as no_data:
        return _show_lines(examine(_model(source, no_data, dtype, base)))


def _model(source: str, no_data: DataError, dtype: str, base: str | None) -> Model:
    """Loads a model from a source that is no dataset."""
    from clearbench.models.load import load_model

    try:
        return load_model(source, dtype=dtype, base=base)
    except ModelError as no_model:
        what = f"neither a dataset nor a model\n  {no_data.what}\n  {no_model.what}"
        raise DataError(what, no_data.where, no_data.fix) from no_model


def _show_lines(lines: Iterable[tuple[str, str]]) -> bool:
    """Prints findings; returns whether none of them is a problem."""
    from clearbench.doctor import PROBLEM

    findings = list(lines)
    width = max(len(what) for what, _ in findings)
    say(*(f"{what:<{width}}  {value}" for what, value in findings))
    return all(what != PROBLEM for what, _ in findings)


def _show_counts(checkup: Checkup) -> None:
    if checkup.configurations:
        rows = [
            (
                entry.name,
                "varies" if entry.expected is None else f"{entry.expected:,}",
                "missing" if entry.found is None else f"{entry.found:,}",
                "" if entry.ok else "differs",
            )
            for entry in checkup.configurations
        ]
        show_table(("configuration", "expected", "found", ""), rows)
    _show_splits(checkup)
    _show_some("problem", checkup.problems)
    if checkup.dataset is not None and checkup.dataset.doubts:
        _show_some("doubt", checkup.dataset.doubts)
    wrong = sum(not entry.ok for entry in checkup.configurations)
    if wrong:
        say(f"{wrong} of {len(checkup.configurations)} counts are not the published ones")


def _show_dataset(checkup: Checkup) -> bool:
    """Prints where every column goes; returns whether the data can be loaded."""
    from clearbench.data.checks import odd_rows

    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for entry in checkup.configurations:
        goes = tuple(f"{name} -> {', '.join(to) or 'unread'}" for name, to in entry.fields.items())
        count = "none" if entry.found is None else f"{entry.found:,}"
        alike.setdefault((goes, entry.missing), []).append(f"{entry.name}: {count}")
    for (goes, missing), names in alike.items():
        say(", ".join(names), *(f"  {line}" for line in goes))
        say(*(f"  missing: {name}" for name in missing))
    _show_splits(checkup)
    _show_some("problem", checkup.problems)
    if checkup.dataset is not None:
        _show_some("odd row", list(odd_rows(checkup.dataset)))
    return not checkup.problems


def _show_splits(checkup: Checkup) -> None:
    if checkup.dataset is not None:
        rows = [tuple(map(str, split.values())) for split in _splits(checkup.dataset)]
        show_table(("split", "people", "training rows", "measured rows"), rows)
    say(*(f"note: {note}" for note in checkup.notes))


def _show_some(what: str, lines: Sequence[str]) -> None:
    from clearbench.data.examine import some_of_each

    say(f"{what}s: {len(lines)}" if lines else f"no {what}s")
    say(*(f"  {line}" for line in some_of_each(lines, SHOWN)))
    if len(lines) > SHOWN:
        say(f"  and {len(lines) - SHOWN} more")
