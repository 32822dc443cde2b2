"""Command that rates metrics on the models of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clearbench.cli.options import Json, Plugins, Store, load_plugins
from clearbench.cli.output import say, show_table
from clearbench.cli.progress import stepwise

if TYPE_CHECKING:
    from clearbench.evaluation.trust import Trust


def trust(
    run: Annotated[Path, typer.Argument(help="Folder of a run with several `seeds`.")],
    store: Store = None,
    learning_rate: Annotated[
        float, typer.Option(min=0.0, help="Learning rate of one epoch of relearning.")
    ] = 3e-4,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Says which metrics to believe: by models that know and that do not, before and after attacks.

    Writes trust.json into the run's folder.
    """
    from clearbench.audit.zoo import TRUST, trust_of_run

    load_plugins(plugin)
    with stepwise() as on_progress:
        found = trust_of_run(run, store=store, learning_rate=learning_rate, on_progress=on_progress)
    found.write(run / TRUST)
    if as_json:
        typer.echo(json.dumps(found.json_value(), indent=1, allow_nan=False))
        return
    for table in found.tables:
        say(f"{table.model}, {table.modality} forgotten: {len(table.unlearned)} unlearned models")
        show_table(
            ("metric", "faithful", "relearning", "rounding", "overall", "models", "believe it?"),
            [_line(each) for each in table.metrics],
            dropped_first=("relearning", "rounding", "models", "overall"),
            all_of_it="--json",
        )
        say("")


def _line(each: Trust) -> tuple[str, ...]:
    numbers = (each.faithfulness, each.relearning, each.quantisation, each.overall)
    shown = ("" if number is None else f"{number:.2f}" for number in numbers)
    return (each.metric, *shown, f"{each.knowing}+{each.ignorant}+{each.attacked}", each.believe)
