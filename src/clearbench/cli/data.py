"""Options that name the data of a command, and their reading: the same for every command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clearbench.errors import RecipeError

if TYPE_CHECKING:
    from clearbench.data.dataset import Dataset

Data = Annotated[
    str | None,
    typer.Option("--data", help="A dataset: `builtin`, a folder, a hub id, or own rows in a file."),
]
Forget = Annotated[
    str | None,
    typer.Option(
        "--forget",
        help="A file of own rows to forget. With --data: how many people, or a published split "
        "such as forget05.",
    ),
]
Retain = Annotated[
    Path | None, typer.Option("--retain", help="A file of own rows to keep, beside --forget FILE.")
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of the pictures that own rows name; else their own."),
]
Holdout = Annotated[
    Path | None,
    typer.Option("--holdout", help="A file of own rows about people whom no model was taught."),
]
#: Notes on the data that are printed in full.
_SHOWN = 20
_FIX = "give --data DATASET, or --forget FILE with --retain FILE"


def chosen_dataset(
    command: str,
    data: str | None,
    forget: str | None,
    retain: Path | None = None,
    images: Path | None = None,
    holdout: Path | None = None,
) -> Dataset:
    """Loads the data of a command, as `read_dataset`, and prints what is doubtful in them.

    What is doubtful is printed apart from the output.
    """
    dataset = read_dataset(command, data, forget, retain, images, holdout)
    for doubt in dataset.doubts[:_SHOWN]:
        typer.echo(f"note: {doubt}", err=True)
    if len(dataset.doubts) > _SHOWN:
        fix = "`clearbench doctor` shows all of them"
        typer.echo(f"note: and {len(dataset.doubts) - _SHOWN} more; {fix}", err=True)
    return dataset


def read_dataset(
    command: str,
    data: str | None,
    forget: str | None,
    retain: Path | None = None,
    images: Path | None = None,
    holdout: Path | None = None,
) -> Dataset:
    """Loads a dataset, or own rows in files of their own for each split.

    Args:
        command: Name of the command, for messages.
        data: Dataset or file of own rows.
        forget: File of rows to forget; with `data`, a number of people or a split.
        retain: File of rows to keep.
        images: Folder of the pictures that own rows name.
        holdout: File of rows about people whom no model was taught.

    Raises:
        RecipeError: The options contradict each other, or name nothing.
        DataError: Rows are bad, which are all listed.
    """
    from clearbench.data.jsonl import read_pairs
    from clearbench.data.load import load_dataset

    if data is None:
        if forget is None and retain is None and holdout is None:
            fix = _FIX.removesuffix(" with --retain FILE") if command == "audit" else _FIX
            raise RecipeError("no data are given", command, fix)
        if forget is not None and forget.isdecimal():
            what = f"{forget} is a number of people, and there is no dataset to choose them from"
            raise RecipeError(what, "--forget", "add --data DATASET, or give a file of rows")
        chosen = None if forget is None else Path(forget)
        return read_pairs(chosen, retain, images, holdout)
    for option, given in (("--retain", retain), ("--holdout", holdout)):
        if given is not None:
            raise RecipeError(f"--data and {option} are two ways to name rows", command, _FIX)
    if forget is not None and not forget.isdecimal() and Path(forget).is_file():
        what = f"{forget} is a file of rows, and --data names others"
        raise RecipeError(what, command, f"give --forget {forget} --retain FILE, without --data")
    return load_dataset(data, whom(forget), images=images)


def whom(forget: str | None) -> int | str | None:
    """Parses a number of people, or the name of a split."""
    return int(forget) if forget is not None and forget.isdecimal() else forget
