"""Functions that teach, unlearn, measure and attack one model: each works alone on your objects.

A model may be a `transformers` object, which is left as it was: training returns another of its
class. A dataset may be whatever `load_dataset` takes, such as `{"forget": [...], "retain": [...]}`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from clearbench.attacks import run as attacks
from clearbench.attacks.base import attack as named_attack
from clearbench.batches.items import item
from clearbench.data.dataset import Dataset
from clearbench.data.load import dataset_of, load_dataset
from clearbench.data.modality import parse_modalities
from clearbench.devices import compute_device
from clearbench.evaluation import engine
from clearbench.evaluation.batchwise import OnBatch
from clearbench.evaluation.controls import control
from clearbench.evaluation.metric import Shadow
from clearbench.evaluation.protocols import protocol as named_protocol
from clearbench.evaluation.records import Records
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.adapters import copy_to_train
from clearbench.models.base import Model
from clearbench.models.objects import in_form_of, refuse_object, wrapped
from clearbench.models.pictures import check_pictures
from clearbench.runs.model_folder import model_folder, unlearning
from clearbench.training import finetune as _finetune
from clearbench.training import unlearn as _unlearn
from clearbench.training.keywords import divide, divide_sides, fitted
from clearbench.training.loop import OnStep
from clearbench.training.method_checks import check_seed
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged


def finetune(
    model: Any,
    dataset: Any = None,
    *,
    forget: Any = None,
    retain: Any = None,
    tokenizer: Any = None,
    processor: Any = None,
    without: tuple[str, ...] = (),
    seed: int = 0,
    out: str | Path | None = None,
    on_step: OnStep | None = None,
    device: str | None = None,
    **settings: Any,
) -> Any:
    """Teaches a copy of `model` the dataset's people; `without=("forget",)` makes a gold model.

    Args:
        model: Base model: a `Model`, a `transformers` object, or what `load_model` takes; it is not
            changed.
        dataset: Dataset of the people to learn, or what `load_dataset` takes; or give its rows:
        forget: Rows in memory about people who may be forgotten later, as in `Dataset.from_rows`.
        retain: Rows in memory about the other people.
        tokenizer: Tokenizer of a `transformers` language model.
        processor: Processor of a `transformers` vision-language model, or image processor of a
            classifier.
        without: Splits to leave out.
        seed: Seed for the row order.
        out: Folder for the model and, until it is finished, for checkpoints next to it.
        on_step: Function called with (steps done, steps in all, losses by term) after each step.
        device: Device to train on, as in `compute_device`; None for the one that a `Model` or an
            object is on, and for the one that is there where `model` is a folder or hub id.
        **settings: Fields of `TrainSettings`, such as `steps` (100 by default) and `learning_rate`.

    Returns:
        The taught copy: for a `transformers` object an object of the same class (adapters merged),
        else a `Model`.

    Raises:
        DataError: Rows are bad, or the model cannot read them; all are listed.
        ModelError: The model cannot be loaded, or has nothing to train.
        RecipeError: A setting is unknown, out of range or about forgetting.
        StorageError: `out` holds something else.
        Diverged: A loss or a weight is not finite.
    """
    schedule = TrainSettings.of(**{"steps": 100, **settings})
    rows = dataset_of(dataset, {"forget": forget, "retain": retain})
    with wrapped(model, tokenizer, processor) as base:
        schedule = fitted(schedule, base)
        about = {
            "command": "finetune",
            "train": schedule.model_dump(mode="json"),
            "without": list(without),
        }

        def train(taught: Model, checkpoints: Path | None) -> None:
            known, saved = rows.for_kind(taught.kind), {"checkpoints": checkpoints}
            _finetune.finetune(
                taught, known, schedule, seed, without=without, on_step=on_step, **saved
            )

        place = _training_device(model, base, device)
        copying = copy_to_train(base, place, schedule.lora_rank)
        trained = _trained_copy(base, rows, seed, about, train, out, copying)
    return in_form_of(model, trained)


def unlearn(
    model: Any,
    dataset: Any = None,
    method: str = "npo",
    modality: str = "both",
    *,
    forget: Any = None,
    retain: Any = None,
    tokenizer: Any = None,
    processor: Any = None,
    settings: TrainSettings | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    on_step: OnStep | None = None,
    device: str | None = None,
    **parameters: Any,
) -> Any:
    """Makes a copy of `model` forget the dataset's forget people.

    Args:
        model: Original model: a `Model`, a `transformers` object, or what `load_model` takes; it is
            not changed.
        dataset: Dataset with the people to forget and to keep, or what `load_dataset` takes; or
            give its rows:
        method: Name from `clearbench list methods`.
        modality: Modalities to forget: `text`, `image`, `both`, or other names joined by `+`.
        forget: Rows in memory about the people to forget, as in `Dataset.from_rows`.
        retain: Rows in memory about the people to keep. Beside a `dataset` it is the
            hyper-parameter of that name.
        tokenizer: Tokenizer of a `transformers` language model.
        processor: Processor of a `transformers` vision-language model, or image processor of a
            classifier.
        settings: Training schedule as an object; beside it `parameters` are the method's alone.
        seed: Seed for the row order.
        out: Folder for the model and, until it is finished, for checkpoints next to it. Adapters
            are merged into it, and stand in its folder `adapter` as well.
        on_step: Function called with (steps done, steps in all, losses by term) after each step.
        device: Device to train on, as for `finetune`.
        **parameters: Fields of `TrainSettings`, such as `steps` (30 by default), `learning_rate`
            and `lora_rank`, and hyper-parameters of the method.

    Returns:
        The copy that has forgotten: for a `transformers` object an object of the same class
        (adapters merged), else a `Model` (adapters beside its weights).

    Raises:
        DataError: Rows are bad, or the model cannot read them; all are listed.
        ModelError: The model cannot be loaded, or has nothing to train.
        RecipeError: A method, setting or hyper-parameter is unknown, out of range, or a name of
            both; or the method does not work on this kind of model, modality or form.
        StorageError: `out` holds something else.
        Diverged: A loss or a weight is not finite.
    """
    sides, own = divide_sides(method, dataset, {"forget": forget, "retain": retain})
    chosen, schedule = divide(method, {**parameters, **own}, settings, steps=30)
    if chosen.artefact == "guard":
        refuse_object(model, method)
    rows = dataset_of(dataset, sides)
    tracks = parse_modalities(modality)
    with wrapped(model, tokenizer, processor) as original:
        schedule = fitted(schedule, original) if settings is None else settings
        about = unlearning(chosen, modality, schedule)

        def train(changed: Model, checkpoints: Path | None) -> None:
            known, saved = rows.for_kind(changed.kind), {"checkpoints": checkpoints}
            _unlearn.unlearn(
                changed, known, chosen, tracks, schedule, seed, on_step=on_step, **saved
            )

        place = _training_device(model, original, device)
        copying = copy_to_train(original, place, schedule.lora_rank)
        trained = _trained_copy(original, rows, seed, about, train, out, copying)
    return in_form_of(model, trained)


def _training_device(given: Any, model: Model, device: str | None) -> torch.device:
    """Chooses where a copy of a model is trained: where an object is, unless told."""
    if device is None and not isinstance(given, str | Path):
        return model.device
    return compute_device(device)


def _trained_copy(
    model: Model,
    dataset: Dataset,
    seed: int,
    about: dict[str, Any],
    train: Callable[[Model, Path | None], None],
    out: str | Path | None,
    copying: AbstractContextManager[Model],
) -> Model:
    """Trains a copy of a model; with a folder it is saved, and resumed after a kill."""
    check_seed(seed)
    if out is None:
        with copying as copied:
            train(copied, None)
        return copied
    folder = model_folder(out, about, model, dataset, seed)
    if folder.is_there():
        return folder.load(model)
    try:
        with copying as copied:
            train(copied, folder.checkpoints)
    except Diverged:
        folder.forget_checkpoints()
        raise
    folder.save(copied, model.place)
    return copied


def evaluate(
    model: Any,
    dataset: Any = None,
    protocol: str = "clear",
    *,
    forget: Any = None,
    retain: Any = None,
    holdout: Any = None,
    tokenizer: Any = None,
    processor: Any = None,
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
        model: Model to measure where it is: a `Model`, a `transformers` object, or what
            `load_model` takes, which goes to the device that is there; left as it was.
        dataset: Dataset whose measured splits are used, or what `load_dataset` takes; or give its
            rows:
        protocol: Protocol that `score` will use; it decides which further forms are asked.
        forget: Rows in memory about the people to forget, as in `Dataset.from_rows`.
        retain: Rows in memory about the people to keep.
        holdout: Rows in memory about people whom no model was taught.
        tokenizer: Tokenizer of a `transformers` language model.
        processor: Processor of a `transformers` vision-language model, or image processor of a
            classifier.
        limit: Rows per split and task, whole people; None for all.
        asks: Further forms of prompts: `letter`, `paraphrased`, `cloze`.
        images: Control: `blank`, or another person's (`shuffled`); None for the rows' own.
        max_new_tokens: Longest generated answer; None for the protocol's, and 40 where it has none.
        stop_after: Longest answer to a row, in multiples of the tokens of the true one.
        parts: Folder that keeps finished batches, so that a killed measurement can resume.
        on_batch: Function called with (batches done, batches in all).

    Returns:
        Records: for every measured row the log-probability (nats) of each token of its answers,
        and what the model says; `score` computes every metric from them.

    Raises:
        DataError: Rows are bad, or the model cannot read them; all are listed.
        ModelError: The model cannot be loaded.
        RecipeError: A protocol, form or control is unknown.
    """
    settings = EvaluationSettings.of(
        protocol=protocol,
        limit=limit,
        asks=tuple(asks),
        max_new_tokens=max_new_tokens or named_protocol(protocol).max_new_tokens or 40,
        stop_after=stop_after,
    )
    data = dataset_of(dataset, {"forget": forget, "retain": retain, "holdout": holdout})
    shown = data if images is None else control(data, images)
    folder = None if parts is None else Path(parts)
    with wrapped(model, tokenizer, processor) as read:
        rows = shown.for_kind(read.kind)
        check_pictures(read, (item(row) for split in rows.evaluation.values() for row in split))
        return engine.evaluate(read, rows, settings, images, parts=folder, on_batch=on_batch)


def attack(
    model: Model | Any,
    dataset: Dataset | Any,
    name: str,
    reference: Model | Records | None = None,
    *,
    limit: int | None = None,
    original: Model | Records | None = None,
    shadows: Sequence[Shadow] = (),
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
        shadows: For attacks that learn from shadow models, such as U-LIRA: records of models made
            as the attacked one was, and whom each was taught (`Shadow(records, people)`, with
            people among `dataset.people("forget")` and `dataset.people("holdout")`).
        **parameters: Parameters of the attack.

    Returns:
        Table with a line per attacked row, and scores by key.

    Raises:
        DataError: Rows are bad, or lack what the attack compares.
        RecipeError: The attack or a parameter is unknown, or the attack lacks an input.
    """
    chosen, data = named_attack(name, **parameters), load_dataset(dataset)
    with wrapped(model) as attacked:
        rows = data.for_kind(attacked.kind)
        return attacks.run(attacked, rows, chosen, reference, limit, original, shadows)
