"""Command that audits a model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from clearbench.cli.data import Data, Forget, Holdout, Images, Retain, chosen_dataset
from clearbench.cli.options import Base, Device, Dtype, Json, Out, Plugins, load_plugins
from clearbench.cli.output import check_writable
from clearbench.cli.progress import stepwise
from clearbench.errors import RecipeError, StorageError
from clearbench.storage import check_free


def audit(
    model: Annotated[str, typer.Argument(help="The model: a folder or hub id.")],
    data: Data = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    reference: Annotated[
        str | None, typer.Option(help="Gold: a model that never met the people.")
    ] = None,
    original: Annotated[str | None, typer.Option(help="The model before unlearning.")] = None,
    attacks: Annotated[
        str,
        typer.Option(
            help="`none`; `records` (on what was measured); `light` (no change of weights); `all`; "
            "or names of `clearbench list attacks`, with commas."
        ),
    ] = "all",
    limit: Annotated[int | None, typer.Option(min=1, help="Rows per split and task.")] = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    base: Base = None,
) -> None:
    """Says what can be said of a model and people whom it should not know.

    What it tells of them, what attacks bring back, whether it can be told that they were in the
    training data, what it lost, and what cannot be concluded. `--out` writes audit.html and
    audit.json.
    """
    from rich.console import Console

    from clearbench.audit.html import PAGE
    from clearbench.audit.measure import chosen_attacks
    from clearbench.audit.run import audit as audited
    from clearbench.audit.schema import AUDIT
    from clearbench.audit.summary import print_audit
    from clearbench.models.load import load_model

    load_plugins(plugin)
    chosen_attacks(attacks)
    if out is not None:
        check_writable(out)
        if (out / AUDIT).is_file():
            fix = "choose another --out, or remove that folder"
            raise StorageError("an earlier audit is here already", str(out), fix)
        check_free(out)
    dataset = chosen_dataset("audit", data, forget, retain, images, holdout)
    if not dataset.evaluation.get("forget"):
        fix = 'give --forget FILE, or rows with "split": "forget"'
        raise RecipeError("nobody is to be forgotten", str(data or retain or holdout), fix)
    given = (("model", model), ("gold", reference), ("original", original))
    places = {role: source for role, source in given if source is not None}
    with stepwise() as on_progress:
        loaded = {}
        for number, (role, source) in enumerate(places.items()):
            on_progress(f"loading the {role}", number, len(places))
            loaded[role] = load_model(source, dtype=dtype, base=base, device=device)
        found = audited(
            loaded["model"],
            dataset,
            loaded.get("gold"),
            loaded.get("original"),
            attacks=attacks,
            limit=limit,
            out=out,
            names=places,
            on_progress=on_progress,
        )
    if as_json:
        typer.echo(json.dumps(found.json_value(), indent=1, allow_nan=False))
        return
    print_audit(found, Console(), None if out is None else out / PAGE)
