"""Command that makes the paraphrases and wrong answers that own rows lack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clearbench.cli.data import Data, Forget, Holdout, Images, Retain, chosen_dataset
from clearbench.cli.options import Base, Device, Dtype, Plugins, load_plugins
from clearbench.cli.output import check_writable, say, show_table
from clearbench.cli.progress import progress
from clearbench.errors import RecipeError, StorageError

if TYPE_CHECKING:
    from clearbench.completion.complete import Completion


def complete(
    out: Annotated[Path, typer.Option("--out", help="New folder for the completed rows.")],
    data: Data = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--with", help="A local language model that writes what the grammar cannot: a folder."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws of wrong answers.")] = 0,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    base: Base = None,
) -> None:
    """Adds paraphrases and wrong answers to own rows that have none, each with its origin.

    A grammar makes those it can: it swaps the date, number, place, name or title that a question
    asks for, or takes other people's answers to it. `--with` lets a model write the others; without
    one they stay empty, and scores that need them leave these rows out. Read the result before you
    trust it: `made_by` says what made each field. Commands take the folder as --data.
    """
    load_plugins(plugin)
    check_writable(out)
    if out.exists() and any(out.iterdir()):
        raise StorageError("there is something in this folder", str(out), "give a new one")
    if model is None and base is not None:
        raise RecipeError("only a model has a base", "--base", "give --with MODEL, or no --base")
    dataset = chosen_dataset("complete", data, forget, retain, images, holdout)
    from clearbench.completion.complete import complete as completed
    from clearbench.completion.files import write_completion

    writer = None
    if model is not None:
        from clearbench.models.load import load_model

        writer = load_model(model, dtype=dtype, base=base, device=device)
    with progress("completing") as on_row:
        found = completed(dataset, writer, f"model {model}", seed, on_row)
    write_completion(found, out)
    _show(found)
    say(f"saved to {out}")


def _show(found: Completion) -> None:
    """Prints what made how many fields, and which rows stay without one, by reason."""
    from clearbench.data.origins import FIELDS

    counts = {field: found.counts(field) for field in FIELDS}
    makers = sorted({maker for made in counts.values() for maker in made})
    show_table(
        ("rows", *FIELDS),
        [(maker, *(str(counts[field][maker]) for field in FIELDS)) for maker in makers],
    )
    for sentence in found.sentences():
        say(sentence)
