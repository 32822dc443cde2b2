"""Functions for the steps of a benchmark, for a notebook: each works alone on your objects.

A `dataset` may also be whatever `load_dataset` takes, such as `{"forget": [...], "retain": [...]}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from clearbench.attacks import run as attacks
from clearbench.attacks import scoring
from clearbench.attacks.base import attack as named_attack
from clearbench.batches.items import item
from clearbench.data.clear import write_dataset
from clearbench.data.dataset import Dataset
from clearbench.data.load import BUILTIN, load_dataset
from clearbench.data.modality import parse_modalities
from clearbench.evaluation import engine
from clearbench.evaluation.batchwise import OnBatch
from clearbench.evaluation.checks import check_records
from clearbench.evaluation.comparable import check_same_questions
from clearbench.evaluation.controls import control
from clearbench.evaluation.metric import metric
from clearbench.evaluation.protocols import protocol as named_protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.base import Model
from clearbench.models.load import load_model
from clearbench.models.pictures import check_pictures
from clearbench.runs.execute import Runtime
from clearbench.runs.model_folder import model_folder, unlearning
from clearbench.runs.recipe import Recipe, load_recipe
from clearbench.runs.schema import Details, Results
from clearbench.storage import new_folder
from clearbench.training import finetune as _finetune
from clearbench.training import unlearn as _unlearn
from clearbench.training.checks import check_seed, named_method
from clearbench.training.loop import OnStep
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged


def build_dataset(
    people: int = 40,
    forget: int = 8,
    strangers: int = 8,
    seed: int = 0,
    out: str | Path | None = None,
) -> Dataset:
    """Makes fictitious people with their questions, portraits and captions.

    Args:
        people: Number of people who are taught.
        forget: Number of them who are to be forgotten.
        strangers: Number of people who are kept apart, never taught.
        seed: Seed for the people; the same one gives the same bytes.
        out: Folder to write them to, in the layout of CLEAR.
    """
    dataset = load_dataset(BUILTIN, forget, people=people, strangers=strangers, seed=seed)
    if out is not None:
        with new_folder(Path(out), {"people": people, "forget": forget, "seed": seed}) as folder:
            write_dataset(dataset, folder)
    return dataset


def finetune(
    model: Model | Any,
    dataset: Dataset | Any,
    *,
    without: tuple[str, ...] = (),
    seed: int = 0,
    out: str | Path | None = None,
    on_step: OnStep | None = None,
    **settings: Any,
) -> Model:
    """Teaches a copy of `model` the dataset's people; `without=("forget",)` makes a gold model.

    Args:
        model: Base model, or what `load_model` takes; it is not changed.
        dataset: Dataset of the people to learn, or what `load_dataset` takes.
        without: Splits to leave out.
        seed: Seed for the row order.
        out: Folder for the model and, until it is finished, for checkpoints next to it.
        on_step: Function called with (steps done, steps in all, losses by term) after each step.
        **settings: Fields of `TrainSettings`, such as `steps` and `learning_rate`.
    """
    model, dataset = _model(model), load_dataset(dataset)
    schedule = TrainSettings.of(**{"steps": 100, **settings})
    about = {
        "command": "finetune",
        "train": schedule.model_dump(mode="json"),
        "without": list(without),
    }
    rows = dataset.for_kind(model.kind)

    def train(taught: Model, checkpoints: Path | None) -> None:
        _finetune.finetune(
            taught,
            rows,
            schedule,
            seed,
            without=without,
            checkpoints=checkpoints,
            on_step=on_step,
        )

    return _trained_copy(model, dataset, seed, about, train, out)


def unlearn(
    model: Model | Any,
    dataset: Dataset | Any,
    method: str = "npo",
    modality: str = "both",
    *,
    settings: TrainSettings | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    on_step: OnStep | None = None,
    **hyperparameters: Any,
) -> Model:
    """Makes a copy of `model` forget the dataset's forget people.

    Args:
        model: Original model, or what `load_model` takes; it is not changed.
        dataset: Dataset with the people to forget and to keep, or what `load_dataset` takes.
        method: Name from `clearbench list methods`.
        modality: Modalities to forget: `text`, `image`, `both`, or other names joined by `+`.
        settings: Training schedule.
        seed: Seed for the row order.
        out: Folder for the model and, until it is finished, for checkpoints next to it. Adapters
            are merged into it, and stand in its folder `adapter` as well.
        on_step: Function called with (steps done, steps in all, losses by term) after each step.
        **hyperparameters: Hyper-parameters of the method.
    """
    chosen = named_method(method, hyperparameters, "settings=TrainSettings({}={!r})")
    model, dataset = _model(model), load_dataset(dataset)
    schedule = settings or TrainSettings(steps=30)
    tracks, rows = parse_modalities(modality), dataset.for_kind(model.kind)
    about = unlearning(chosen, modality, schedule)

    def train(changed: Model, checkpoints: Path | None) -> None:
        _unlearn.unlearn(
            changed,
            rows,
            chosen,
            tracks,
            schedule,
            seed,
            checkpoints=checkpoints,
            on_step=on_step,
        )

    return _trained_copy(model, dataset, seed, about, train, out)


def _model(model: Model | Any) -> Model:
    """Loads or wraps what is no model yet."""
    return model if isinstance(model, Model) else load_model(model)


def _trained_copy(
    model: Model,
    dataset: Dataset,
    seed: int,
    about: dict[str, Any],
    train: Callable[[Model, Path | None], None],
    out: str | Path | None,
) -> Model:
    """Trains a copy of a model; with a folder it is saved, and resumed after a kill."""
    check_seed(seed)
    if out is None:
        copied = model.duplicate()
        train(copied, None)
        return copied
    folder = model_folder(out, about, model, dataset, seed)
    if folder.is_there():
        return folder.load(model)
    copied = model.duplicate()
    try:
        train(copied, folder.checkpoints)
    except Diverged:
        folder.forget_checkpoints()
        raise
    folder.save(copied, model.place)
    return copied


def evaluate(
    model: Model | Any,
    dataset: Dataset | Any,
    protocol: str = "clear",
    *,
    limit: int | None = None,
    asks: Sequence[str] = (),
    images: str | None = None,
    max_new_tokens: int | None = None,
    stop_after: float | None = None,
    parts: str | Path | None = None,
    on_batch: OnBatch | None = None,
) -> Records:
    """Measures the dataset's measured rows in one pass.

    Args:
        model: Model to measure, or what `load_model` takes; left as it was.
        dataset: Dataset whose measured splits are used, or what `load_dataset` takes.
        protocol: Protocol that `score` will use; it decides which further forms are asked.
        limit: Rows per split and task, whole people; None for all.
        asks: Further forms of prompts: `letter`, `paraphrased`, `cloze`.
        images: Control: `blank`, or another person's (`shuffled`); None for the rows' own.
        max_new_tokens: Longest generated answer; None for the protocol's, and 40 where it has none.
        stop_after: Longest answer to a row, in multiples of the tokens of the true one.
        parts: Folder that keeps finished batches, so that a killed measurement can resume.
        on_batch: Function called with (batches done, batches in all).
    """
    settings = EvaluationSettings.of(
        protocol=protocol,
        limit=limit,
        asks=tuple(asks),
        max_new_tokens=max_new_tokens or named_protocol(protocol).max_new_tokens or 40,
        stop_after=stop_after,
    )
    model, dataset = _model(model), load_dataset(dataset)
    shown = dataset if images is None else control(dataset, images)
    folder = None if parts is None else Path(parts)
    rows = shown.for_kind(model.kind)
    check_pictures(model, (item(row) for split in rows.evaluation.values() for row in split))
    return engine.evaluate(model, rows, settings, images, parts=folder, on_batch=on_batch)


def score(
    records: Records,
    reference: Records | None = None,
    original: Records | None = None,
    protocol: str = "clear",
    metrics: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Score]:
    """Computes scores by key.

    Args:
        records: Records of the model.
        reference: Records of the gold model.
        original: Records of the model before unlearning.
        protocol: Name of a set of metrics.
        metrics: Further metrics with parameters: `[{"name": "min_k", "share": 0.2}]`.

    Raises:
        DataError: Records hold what no model can give, or answer other questions than others; or
            nothing of the protocol can be computed. Rows and scores are named.
    """
    further = tuple(metric(**entry) for entry in metrics)
    check_records(records, "records")
    for role, other in (("reference", reference), ("original", original)):
        if other is not None:
            check_records(other, role)
            check_same_questions(records, other, role)
    return scoring.score(records, reference, original, protocol, metrics=further)


def attack(
    model: Model | Any,
    dataset: Dataset | Any,
    name: str,
    reference: Model | Records | None = None,
    *,
    limit: int | None = None,
    original: Model | Records | None = None,
    **parameters: Any,
) -> attacks.Attacked:
    """Attacks a model: computes the attack's table of records, and its scores.

    Args:
        model: Attacked model, or what `load_model` takes; left as it was.
        dataset: Dataset with forget and holdout rows, or what `load_dataset` takes.
        name: Name from `clearbench list attacks`.
        reference: Gold model, or its records.
        limit: Rows per split and task, whole people; None for all.
        original: Model before unlearning, or its records; recovery is between gold and it.
        **parameters: Parameters of the attack.
    """
    model, dataset = _model(model), load_dataset(dataset)
    chosen = named_attack(name, **parameters)
    rows = dataset.for_kind(model.kind)
    return attacks.run(model, rows, chosen, reference, limit, original)


def run_recipe(
    recipe: Recipe | str | Path,
    out: str | Path,
    *,
    runtime: Runtime | None = None,
    store: str | Path | None = None,
    console: Console | None = None,
) -> Results:
    """Runs a recipe into a folder and writes its page; finished stages are not made again.

    Args:
        recipe: Recipe, its file, or a name from `clearbench list recipes`.
        out: Folder for the results.
        runtime: Processes, threads and plugins.
        store: Folder of stages that several runs share; None for one in `out`.
        console: Console for the progress; None for standard error.
    """
    from clearbench.report.html import refresh_page
    from clearbench.runs.run import run

    resolved = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    results = run(resolved, Path(out), runtime, console, None if store is None else Path(store))
    refresh_page(Path(out))
    return results


def report(
    results: Results | Mapping[str, Any], out: str | Path, details: Details | None = None
) -> Path:
    """Writes the self-contained page of a run's results.

    Args:
        results: Results of a run, or the content of a `results.json`.
        out: File to write.
        details: People, answers and truth ratios of the run; None leaves them out.
    """
    from clearbench.report import html

    return html.report(results, out, details)
