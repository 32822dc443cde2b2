"""Commands for single steps: make people, teach, measure."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clearbench.cli.data import Data, Forget, Holdout, Images, Retain, chosen_dataset
from clearbench.cli.options import Base, Device, Dtype, Plugins, load_plugins
from clearbench.cli.output import check_writable, say, show_table
from clearbench.cli.progress import progress, training
from clearbench.cli.settings import training_settings
from clearbench.errors import RecipeError
from clearbench.storage import check_free, is_finished, new_folder

if TYPE_CHECKING:
    from clearbench.data.dataset import Dataset
    from clearbench.models.base import Model

_CONTROLS = ("blank", "shuffled")
#: Rows per split and task that a model is asked after it was taught.
ASKED = 200


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
    from clearbench.builtin.build import build_folder

    check_writable(out)
    counts = build_folder(out, people, forget, strangers, seed, render=render, workers=workers)
    show_table(("configuration", "rows"), [(name, str(rows)) for name, rows in counts.items()])


def finetune(
    model: Annotated[str, typer.Option(help="A folder, a hub id, or `builtin`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model.")],
    data: Data = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Annotated[
        Path | None,
        typer.Option(help="A file of own rows to keep apart: not taught, and asked at the end."),
    ] = None,
    images: Images = None,
    without_forget: Annotated[bool, typer.Option(help="Make a gold model.")] = False,
    kind: Annotated[str, typer.Option(help="Kind of a built-in model.")] = "vision-language",
    seed: int = 0,
    set: Annotated[
        list[str] | None, typer.Option(help="Training field=value, such as steps=100.")
    ] = None,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    base: Base = None,
) -> None:
    """Teaches a model the people of a dataset.

    The loss is shown while it learns. With --holdout it is asked at the end what it knows of the
    rows that it was taught, and of those that were kept apart.
    """
    from clearbench import api

    load_plugins(plugin)
    settings = training_settings(set, steps=100)
    check_writable(out)
    dataset = chosen_dataset("finetune", data, forget, retain, images, holdout)
    if not any(dataset.training.get(split) for split in ("forget", "retain")):
        fix = "give --forget FILE or --retain FILE"
        raise RecipeError("there are no rows to teach", str(holdout or data), fix)
    if without_forget and not dataset.training.get("forget"):
        raise RecipeError(
            "there are no rows to leave out", "--without-forget", "give rows to forget, too"
        )
    with training("teaching") as losses:
        taught = api.finetune(
            _model(model, kind, dataset, dtype, base, device),
            dataset,
            out=out,
            seed=seed,
            without=("forget",) if without_forget else (),
            on_step=losses,
            **settings,
        )
    say(str(losses) if losses.seen else "was there already, nothing was trained")
    if holdout is not None:
        _show_known(taught, dataset, ("forget",) if without_forget else ())
    say(f"saved to {out}")


def _show_known(model: Model, dataset: Dataset, left_out: Sequence[str]) -> None:
    """Asks a model for rows that it was taught and for others, and prints what it knows."""
    from clearbench.attacks.recovery import probabilities
    from clearbench.batches.items import item
    from clearbench.evaluation.engine import sample

    rows = sample(dataset.for_kind(model.kind), ASKED).evaluation
    known = []
    for split in ("forget", "retain", "holdout"):
        asked = [item(row) for row in rows.get(split, ())]
        found = probabilities(model, [each for each in asked if model.accepts(each)])
        if found:
            taught = "no" if split in ("holdout", *left_out) else "yes"
            mean = sum(found.values()) / len(found)
            known.append((split, taught, str(len(found)), f"{mean:.3f}"))
    show_table(("rows", "taught", "asked", "probability of the true answer"), known)


def _model(
    source: str, kind: str, dataset: Dataset, dtype: str, base: str | None, device: str
) -> Model:
    from clearbench.builtin.models import builtin_model
    from clearbench.models.load import data_type, load_model

    if source != "builtin":
        return load_model(source, dtype=dtype, base=base, device=device)
    people = sorted(dataset.people("forget") | dataset.people("retain"))
    model = builtin_model(kind, [dataset.names[person] for person in people], device=device)
    model.module.to(data_type(dtype))
    return model


def evaluate(
    model: Annotated[str, typer.Option(help="A folder or hub id.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the records.")],
    data: Data = None,
    forget: Forget = None,
    retain: Retain = None,
    holdout: Holdout = None,
    images: Images = None,
    protocol: Annotated[str, typer.Option(help="What will be scored.")] = "clear",
    limit: Annotated[int | None, typer.Option(min=1, help="Rows per split and task.")] = None,
    control: Annotated[
        str | None, typer.Option(help="Show `blank` pictures, or another person's (`shuffled`).")
    ] = None,
    ask: Annotated[
        list[str] | None, typer.Option(help="Ask rows as letter, paraphrased or cloze, too.")
    ] = None,
    stop_after: Annotated[
        float | None, typer.Option(min=1, help="Longest answer, in lengths of the true one.")
    ] = None,
    plugin: Plugins = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    base: Base = None,
) -> None:
    """Measures a model once; `score` computes every metric from the records.

    Killed and started again it goes on where it was. `torchrun --no-python --nproc-per-node 2
    clearbench evaluate ...` shares the work among processes.
    """
    from clearbench import api
    from clearbench.evaluation.protocols import protocol as named
    from clearbench.models.load import load_model
    from clearbench.processes import processes

    load_plugins(plugin)
    named(protocol)
    parts = out.with_name(f"{out.name}.parts")
    if is_finished(out):  # a killed process may have left them
        shutil.rmtree(parts, ignore_errors=True)
    check_writable(out)
    check_free(out)
    if images is not None and str(images) in _CONTROLS and not images.is_dir():
        fix = f"write --control {images}"
        raise RecipeError(f"{images} is a control, not a folder of pictures", "--images", fix)
    dataset = chosen_dataset("evaluate", data, forget, retain, images, holdout)
    loaded = load_model(model, dtype=dtype, base=base, device=device)
    with progress("measuring") as on_batch:
        records = api.evaluate(
            loaded,
            dataset,
            protocol,
            limit=limit,
            images=control,
            asks=ask or (),
            stop_after=stop_after,
            parts=parts,
            on_batch=on_batch,
        )
    if not processes().is_main_process:
        return
    about = {
        "command": "evaluate",
        "model": {"source": model, "fingerprint": loaded.fingerprint},
        "data": {"source": data or [forget, *(str(path) for path in (retain, holdout) if path)]}
        | {"fingerprint": dataset.fingerprint},
        "dtype": dtype,
        "device": loaded.device.type,
        "protocol": protocol,
        "limit": limit,
        "control": control,
        "asks": sorted({*named(protocol).asks, *(ask or ())}),
        "stop_after": stop_after,
        "reading": loaded.reading,
    }
    with new_folder(out, about) as folder:
        records.save(folder)
    shutil.rmtree(parts, ignore_errors=True)
    splits = records.answers["split"].value_counts(sort=False)
    asked = ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))
    say(f"{len(records.answers)} answers scored ({asked}), records in {out}")
