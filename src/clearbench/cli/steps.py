"""Commands for single steps: make people, teach, unlearn, measure, score."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from clearbench.cli.options import Forget, Json, Plugins, assignments, load_plugins, whom
from clearbench.cli.progress import progress
from clearbench.errors import DataError, RecipeError

if TYPE_CHECKING:
    from clearbench.data.dataset import Dataset
    from clearbench.evaluation.records import Records
    from clearbench.evaluation.score import Score
    from clearbench.evaluation.statistics import Band
    from clearbench.models.base import Model


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

    counts = build_folder(out, people, forget, strangers, seed, render=render, workers=workers)
    table = Table("configuration", "rows")
    for name, rows in counts.items():
        table.add_row(name, str(rows))
    Console().print(table)


def finetune(
    model: Annotated[str, typer.Option(help="A folder, a hub id, or `builtin`.")],
    data: Annotated[str, typer.Option(help="A dataset folder, or `builtin`.")],
    out: Annotated[Path, typer.Option("--out")],
    forget: Forget = None,
    without_forget: Annotated[bool, typer.Option(help="Make a gold model.")] = False,
    kind: Annotated[str, typer.Option(help="Kind of a built-in model.")] = "vision-language",
    seed: int = 0,
    set: Annotated[list[str] | None, typer.Option(help="Training field=value.")] = None,
) -> None:
    """Teaches a model the people of a dataset."""
    from clearbench import api
    from clearbench.data.load import load_dataset

    dataset = load_dataset(data, whom(forget))
    with progress("teaching") as on_step:
        api.finetune(
            _model(model, kind, dataset),
            dataset,
            out=out,
            seed=seed,
            without=("forget",) if without_forget else (),
            on_step=on_step,
            **assignments(set),
        )
    Console().print(f"saved to {out}")


def _model(source: str, kind: str, dataset: Dataset) -> Model:
    from clearbench.builtin.models import builtin_model
    from clearbench.models.load import load_model

    if source != "builtin":
        return load_model(source)
    people = sorted(dataset.people("forget") | dataset.people("retain"))
    return builtin_model(kind, [dataset.names[person] for person in people])


def unlearn(
    model: Annotated[str, typer.Option(help="The original: a folder or hub id.")],
    out: Annotated[Path, typer.Option("--out")],
    data: Annotated[str | None, typer.Option(help="A dataset folder.")] = None,
    forget: Annotated[
        str | None, typer.Option(help="JSON lines: question, answer. With --data: see finetune.")
    ] = None,
    retain: Annotated[Path | None, typer.Option(help="JSON lines: question, answer.")] = None,
    method: str = "npo",
    modality: Annotated[str | None, typer.Option(help="text, image or both")] = None,
    seed: int = 0,
    set: Annotated[list[str] | None, typer.Option(help="Training field=value.")] = None,
    hyper: Annotated[list[str] | None, typer.Option(help="Hyper-parameter=value.")] = None,
    plugin: Plugins = None,
) -> None:
    """Removes people from a model."""
    from clearbench import api
    from clearbench.data.jsonl import read_pairs
    from clearbench.data.load import load_dataset
    from clearbench.data.modality import spell_modalities
    from clearbench.models.load import load_model
    from clearbench.training.settings import TrainSettings

    load_plugins(plugin)
    if (data is None and forget is None) or (data is not None and retain is not None):
        raise RecipeError(
            "whom to forget is not clear", "unlearn", "give --data, or --forget with --retain"
        )
    if data is not None:
        dataset = load_dataset(data, whom(forget))
    else:
        dataset = read_pairs(Path(str(forget)), retain)
    if modality is None:
        modality = spell_modalities({row.track for row in dataset.train_rows("forget")})
    settings = TrainSettings.of(**{"steps": 30, **assignments(set)})
    with progress("forgetting") as on_step:
        api.unlearn(
            load_model(model),
            dataset,
            method,
            modality,
            settings=settings,
            seed=seed,
            out=out,
            on_step=on_step,
            **assignments(hyper),
        )
    Console().print(f"saved to {out}")


def evaluate(
    model: Annotated[str, typer.Option(help="A folder or hub id.")],
    data: Annotated[str, typer.Option(help="A dataset folder, or `builtin`.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the records.")],
    forget: Forget = None,
    protocol: Annotated[str, typer.Option(help="What will be scored.")] = "clear",
    limit: Annotated[int | None, typer.Option(help="Rows per split and task.")] = None,
    images: Annotated[str | None, typer.Option(help="A control: blank or shuffled.")] = None,
    ask: Annotated[
        list[str] | None, typer.Option(help="Ask rows as letter, paraphrased or cloze, too.")
    ] = None,
    stop_after: Annotated[
        float | None, typer.Option(min=1, help="Longest answer, in lengths of the true one.")
    ] = None,
) -> None:
    """Measures a model once; `score` computes every metric from the records.

    Killed and started again it goes on where it was. `torchrun --no-python --nproc-per-node 2
    clearbench evaluate ...` shares the work among processes.
    """
    from clearbench import api
    from clearbench.data.load import load_dataset
    from clearbench.models.load import load_model
    from clearbench.processes import processes
    from clearbench.storage import check_free, new_folder

    check_free(out)
    dataset, loaded = load_dataset(data, whom(forget)), load_model(model)
    parts = out.with_name(f"{out.name}.parts")
    with progress("measuring") as on_batch:
        records = api.evaluate(
            loaded,
            dataset,
            protocol,
            limit=limit,
            images=images,
            asks=ask or (),
            stop_after=stop_after,
            parts=parts,
            on_batch=on_batch,
        )
    if not processes().is_main_process:
        return
    with new_folder(out, {"model": model, "data": data}) as folder:
        records.save(folder)
    shutil.rmtree(parts, ignore_errors=True)
    Console().print(f"{len(records.answers)} answers scored, records in {out}")


def score(
    log: Annotated[Path, typer.Argument(help="A folder of records, or a published log.")],
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="The gold model's records or log; more of other seeds: the null band."),
    ] = None,
    original: Annotated[Path | None, typer.Option(help="Those of the model before.")] = None,
    known_only: Annotated[bool, typer.Option(help="Only rows that the original knew.")] = False,
    blank: Annotated[
        Path | None, typer.Option(help="The original's, shown blank pictures.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="See `clearbench list protocols`.")] = "clear",
    as_json: Json = False,
) -> None:
    """Computes every score of a model from its records, or from a log that others published."""
    from clearbench.attacks.scoring import null_band
    from clearbench.attacks.scoring import score as compute
    from clearbench.evaluation.doubts import doubts
    from clearbench.evaluation.logs.read import read_log
    from clearbench.evaluation.protocols import protocol as named
    from clearbench.evaluation.statistics import eligible

    chosen, records = named(protocol), read_log(log)
    golds = [read_log(path) for path in reference or ()]
    first = read_log(original) if original else None
    _check_compared(records, reference or (), golds, first)
    if known_only or blank:
        if first is None:
            raise RecipeError("which rows count depends on the original", "score", "--original LOG")
        blind = read_log(blank) if blank else None
        golds = [eligible(gold, first, blind) for gold in golds]
        records, first = (eligible(measured, first, blind) for measured in (records, first))
    compared = golds[0] if golds else None
    scores = compute(records, compared, first, protocol)
    if not scores:
        raise DataError(f"nothing of protocol '{protocol}' can be computed", str(log))
    bands = null_band(golds, protocol) if len(golds) > 1 else {}
    doubtful = doubts(scores, chosen, records, compared)
    if as_json:
        content = {key: score.model_dump(mode="json") for key, score in scores.items()}
        about = {"protocol": protocol, "version": chosen.version, "scores": content}
        if bands:
            about["null_band"] = {key: asdict(bands[key]) for key in scores if key in bands}
        if doubtful:
            about["doubts"] = doubtful
        typer.echo(json.dumps(about, indent=1, allow_nan=False))
        return
    _show_scores(scores, bands, chosen.names)
    for sentence in doubtful:
        typer.echo(f"doubtful: {sentence}")


def _check_compared(
    records: Records, paths: Sequence[Path], golds: Sequence[Records], original: Records | None
) -> None:
    """Refuses references of other questions, copies, and references in the log's place."""
    from clearbench.evaluation.comparable import check_no_copy, check_not_swapped
    from clearbench.evaluation.comparable import check_same_questions as check_same

    for place, (path, gold) in enumerate(zip(paths, golds, strict=True)):
        check_same(records, gold, "reference")
        for other in (records, *golds[:place]):
            check_no_copy(other, gold, str(path), "reference")
        check_not_swapped(records, gold)
    if original is not None:
        check_same(records, original, "original")


def _show_scores(
    scores: Mapping[str, Score], bands: Mapping[str, Band], names: Mapping[str, str]
) -> None:
    table = Table(Column("score", min_width=max(map(len, scores), default=0)), "value", "95 %", "n")
    extra = {"golds apart": bool(bands), "published as": bool(names)}
    for heading in ("gold", *(column for column, wanted in extra.items() if wanted)):
        table.add_column(heading)
    for key, score in scores.items():
        interval = f"{score.low:.3f} to {score.high:.3f}" if score.low is not None else ""
        gold_value = f"{score.gold:.3f}" if score.gold is not None else ""
        more = [_apart(score, bands.get(key))] if bands else []
        more += [names.get(key, "")] if names else []
        table.add_row(key, f"{score.value:.4g}", interval, str(score.n), gold_value, *more)
    Console().print(table)


def _apart(score: Score, band: Band | None) -> str:
    """Writes how far golds of different seeds differ, and whether the model is as near."""
    if band is None or score.gold is None:
        return ""
    return f"{band.gap:.3g}" + (" (inside)" if band.holds(score.value, score.gold) else "")
