"""Command that makes attacks on a model by name, and leaves their tables and scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clearbench.cli.attack_inputs import Source, check_sources
from clearbench.cli.attack_summary import as_json_value, print_attacked
from clearbench.cli.data import Data, Forget, Holdout, Images, Retain, chosen_dataset
from clearbench.cli.options import Base, Device, Dtype, Json, Out, Plugins, load_plugins
from clearbench.cli.output import check_writable, say
from clearbench.cli.progress import stepwise
from clearbench.cli.settings import assignments
from clearbench.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from clearbench.attacks.base import Attack


def attack(
    model: Annotated[str, typer.Argument(help="The attacked model: a folder or hub id.")],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[DATA] NAME",
            help="The dataset, unless options name the rows; then names of `clearbench list "
            "attacks`.",
        ),
    ],
    data: Data = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Gold, a model that never met the people: its folder, or its records."),
    ] = None,
    original: Annotated[
        str | None, typer.Option(help="The model before unlearning: its folder, or its records.")
    ] = None,
    shadow_forget: Annotated[
        list[str] | None,
        typer.Option(
            help="A shadow model, made as the attacked one was: taught the forget people, not the "
            "holdout people. Its folder or its records; give one option for each."
        ),
    ] = None,
    shadow_holdout: Annotated[
        list[str] | None,
        typer.Option(help="A shadow model the other way round: taught the holdout people instead."),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option(help="An attack's own parameter=value, such as share=0.2.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows per split and task.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what attacks draw.")] = 0,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    base: Base = None,
) -> None:
    """Makes attacks: can it be told that people were in the training data, and what comes back?

    `--out` gets a folder for each attack with table.parquet (a line per attacked row) and
    scores.json, as a recipe's attacks leave them; an attack that is there is not made again. Those
    that learn from shadow models, such as u_lira, need three or more of each --shadow option.
    """
    load_plugins(plugin)
    by_option = any(given is not None for given in (data, retain, holdout)) or _is_file(forget)
    source, names = (data, words) if by_option else _divided(words)
    chosen = _configured(names, assignments("--set", set))
    if out is not None:
        check_writable(out)
    options = [("gold", "--reference", reference), ("original", "--original", original)]
    options += [("forget", "--shadow-forget", place) for place in shadow_forget or ()]
    options += [("holdout", "--shadow-holdout", place) for place in shadow_holdout or ()]
    sources = [Source(role, option, place) for role, option, place in options if place is not None]
    dataset = chosen_dataset("attack", source, forget, retain, images, holdout)
    check_sources(chosen, dataset, sources)
    loading = {"dtype": dtype, "base": base, "device": device}
    from clearbench.cli.attacks_made import Attacks

    with stepwise() as on_progress:
        attacks = Attacks.on(model, dataset, sources, limit, seed, loading, on_progress)
        found = attacks.made(chosen, out)
    if as_json:
        shown = [as_json_value(each, found[each.score_key], out) for each in chosen]
        typer.echo(json.dumps({"model": model, "attacks": shown}, indent=1, allow_nan=False))
        return
    for each in chosen:
        print_attacked(each, found[each.score_key])
    if out is not None:
        say(f"tables and scores: {out}")


def _is_file(forget: str | None) -> bool:
    return forget is not None and Path(forget).is_file()


def _divided(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Divides words into the dataset, where the first is no attack, and names of attacks."""
    from clearbench.attacks.base import ATTACKS

    first, *others = words
    if first in ATTACKS:
        return None, [first, *others]
    if not others:
        fix = f"write clearbench attack MODEL {first} NAME... (`clearbench list attacks`)"
        raise RecipeError("no attack is named", "attack", fix)
    return first, others


def _configured(names: Sequence[str], parameters: Mapping[str, Any]) -> list[Attack]:
    """Configures attacks; each takes the parameters that it has.

    Raises:
        RecipeError: An attack is unknown or named twice, or none of them has a parameter.
    """
    from clearbench.attacks.base import ATTACKS, attack

    classes = {name: ATTACKS.named(name) for name in names}
    if len(classes) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RecipeError(f"'{twice}' is named twice", "attack", "name every attack once")
    known = {key for cls in classes.values() for key in cls.model_fields if key != "key"}
    for key in parameters:
        if key not in known:
            what = f"no parameter '{key}' of {', '.join(classes)}"
            hint = did_you_mean(key, known) if known else "they have none"
            raise RecipeError(f"{what}; {hint}", "--set", "correct its name")
    return [
        attack(name, **{key: parameters[key] for key in parameters if key in cls.model_fields})
        for name, cls in classes.items()
    ]
