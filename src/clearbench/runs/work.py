"""What a worker process does: make one model, measure it, score it. Each result is a folder."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import torch

from clearbench.attacks.scoring import null_band, score
from clearbench.builtin.models import builtin_model
from clearbench.data.dataset import Dataset
from clearbench.data.load import load_dataset
from clearbench.data.modality import modalities, modality, parse_modalities
from clearbench.evaluation.controls import Control, control, images_only, under_control
from clearbench.evaluation.engine import evaluate
from clearbench.evaluation.records import SIDE, Records
from clearbench.evaluation.score import Score
from clearbench.evaluation.scoring import truth_ratios
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.evaluation.statistics import eligible
from clearbench.methods.base import method, methods
from clearbench.models.adapters import is_adapter, load_adapter, merge_adapters
from clearbench.models.base import Model
from clearbench.models.cache import WorkCache
from clearbench.models.guards import is_guard, load_guards, save_guards
from clearbench.models.heads import with_head
from clearbench.models.load import load_model
from clearbench.plugins import load_plugin
from clearbench.quiet import quiet_libraries
from clearbench.runs.curve import Curve
from clearbench.runs.plan import Job
from clearbench.storage import is_finished, new_folder, read_json, write_json
from clearbench.training.checkpoint import History
from clearbench.training.finetune import finetune
from clearbench.training.loop import OnStep
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn
from clearbench.training.watch import Diverged

OUTCOME, COST = "outcome.json", "cost.json"
#: Points of a training curve kept for the report.
CURVE_POINTS = 60

#: Called with (job id, what it is doing, done, in all).
Tell = Callable[[str, str, int, int], None]


def start_worker(threads: int, plugins: tuple[str, ...]) -> None:
    """Sets up a worker: fixed thread count, plugins, and an end when its parent ends."""
    quiet_libraries()
    torch.set_num_threads(threads)
    for path in plugins:
        load_plugin(Path(path))
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def make_model(root: Path, job: Job, tell: Tell) -> str:
    """Makes a job's model if its folder is not finished; returns its status."""
    folder = root / job.stage
    if is_finished(folder):
        return str(read_json(folder / OUTCOME)["status"])
    dataset = job_dataset(root, job)
    model = _start(root, job)
    settings = TrainSettings.model_validate(job.settings)
    checkpoints = root / f"{job.stage}.checkpoints"
    curve = Curve(measured_dataset(root, job), job.curve)

    def on_step(done: int, steps: int, _: dict[str, float]) -> dict[str, float]:
        tell(job.id, "training", done, steps)
        return curve.look(model, done)

    status, reason = "ok", ""
    with _metered() as cost:
        first = curve.look(model, 0)
        try:
            history = _train(model, dataset, job, settings, checkpoints, on_step)
        except Diverged as error:
            status, reason, history = "diverged", str(error), error.history
    cost["seconds"] -= curve.seconds
    cost |= {
        "trainable_parameters": 0
        if _leaves_guards(job)
        else sum(p.numel() for p in model.trainable().values()),
        "forwards": model.forwards,
        "backwards": model.backwards,
    }
    with new_folder(folder, job.about) as temporary:
        if status == "ok":
            if job.role != "unlearn":
                merge_adapters(model)
            if _leaves_guards(job):
                save_guards(model, temporary)
            else:
                model.save(temporary)
        points = [{"step": 0, **first}] if first else []
        points += curve.points(history, CURVE_POINTS)
        outcome = {"status": status, "reason": reason, "curve": points, "cost": cost}
        write_json(temporary / OUTCOME, outcome | {"start": job.start.stage if job.start else None})
    _remove(checkpoints)
    return status


def _leaves_guards(job: Job) -> bool:
    return job.role == "unlearn" and methods()[job.method].artefact == "guard"


def _train(
    model: Model,
    dataset: Dataset,
    job: Job,
    settings: TrainSettings,
    checkpoints: Path,
    on_step: OnStep,
) -> History:
    if job.role != "unlearn":
        without = ("forget",) if job.role == "gold" else ()
        return finetune(
            model,
            dataset,
            settings,
            job.seed,
            without=without,
            checkpoints=checkpoints,
            on_step=on_step,
        )
    chosen = method(job.method, **job.hyperparameters)
    return unlearn(
        model,
        dataset,
        chosen,
        parse_modalities(job.modality),
        settings,
        job.seed,
        checkpoints=checkpoints,
        on_step=on_step,
    )


def measure(root: Path, job: Job, evaluation: EvaluationSettings, tell: Tell) -> None:
    """Writes a model's records, under controls too, as far as they are not there."""
    todo = [
        name
        for name in (None, *job.controls(evaluation))
        if not is_finished(root / job.records(evaluation, name))
    ]
    if not todo:
        return
    model = stage_model(root, job)
    for name in todo:
        _measure(root, model, job, evaluation, name, tell)


def _measure(
    root: Path,
    model: Model,
    job: Job,
    evaluation: EvaluationSettings,
    name: Control | None,
    tell: Tell,
) -> None:
    dataset, settings = measured_dataset(root, job), evaluation
    if name is not None:
        dataset = control(images_only(dataset), name)
        splits = tuple(split for split in evaluation.splits if split != SIDE)
        settings = evaluation.model_copy(update={"splits": splits})
    folder = root / job.records(evaluation, name)
    parts = root / f"{folder.name}.parts"

    def on_batch(done: int, batches: int) -> None:
        tell(job.id, f"measuring, {name} pictures" if name else "measuring", done, batches)

    with _metered() as cost:
        records = evaluate(model, dataset, settings, parts=parts, on_batch=on_batch)
    with new_folder(folder, {"stage": job.stage}) as temporary:
        records.save(temporary)
        write_json(temporary / COST, cost)
    _remove(parts)


def score_job(
    root: Path, job: Job, gold: Job, original: Job, evaluation: EvaluationSettings
) -> dict[str, Any]:
    """A job's scores and truth ratios against its gold and original."""

    def scored(name: Control | None) -> tuple[Records, dict[str, Score]]:
        ours, best, first = (
            _counted(root, each, original, evaluation, name) for each in (job, gold, original)
        )
        further = evaluation.further_metrics
        return ours, score(ours, best, first, evaluation.protocol, metrics=further)

    ours, scores = scored(None)
    for name in evaluation.controls if job.model != "language" else ():
        for key, each in scored(name)[1].items():
            split, track, _ = key.split(".")
            if modality(track).media and split != SIDE:
                scores[f"{key}_{name}"] = each
    curves = {f"forget.{track}": truth_ratios(ours, track) for track in modalities()}
    return {
        "scores": {key: each.model_dump(mode="json") for key, each in sorted(scores.items())},
        "truth_ratios": {key: list(values) for key, values in curves.items() if len(values)},
    }


def _counted(
    root: Path, job: Job, original: Job, evaluation: EvaluationSettings, name: Control | None
) -> Records:
    """A job's records, as they are or under a control, of the rows that count."""
    records = _records(root, job.records(evaluation))
    if name is not None:
        records = under_control(records, _records(root, job.records(evaluation, name)))
    if evaluation.eligible == "all":
        return records
    blank = None
    if evaluation.eligible == "known_by_sight" and original.model != "language":
        blank = _records(root, original.records(evaluation, "blank"))
    return eligible(records, _records(root, original.records(evaluation)), blank)


def band_golds(
    root: Path, golds: tuple[Job, ...], original: Job, evaluation: EvaluationSettings
) -> dict[str, dict[str, float]]:
    """Every score's null band from golds of different seeds."""
    records = [_counted(root, each, original, evaluation, None) for each in golds]
    found = null_band(records, evaluation.protocol)
    return {key: asdict(band) for key, band in found.items()}


@lru_cache(maxsize=64)
def _records_at(folder: Path) -> Records:
    return Records.load(folder)


def _records(root: Path, name: str) -> Records:
    return _records_at(root / name)


@lru_cache(maxsize=4)
def _dataset(folder: Path) -> Dataset:
    return load_dataset(folder)


def job_dataset(root: Path, job: Job) -> Dataset:
    """The job's division of the people; earlier requests' people are gone from training."""
    dataset = _dataset(root / job.data).forgetting(job.forget, job.gone)
    return dataset.for_kind(job.model)


def measured_dataset(root: Path, job: Job) -> Dataset:
    """For measuring: everybody forgotten so far counts as forgotten."""
    dataset = _dataset(root / job.data).forgetting({*job.forget, *job.gone})
    return dataset.for_kind(job.model)


def _labels(root: Path, job: Job) -> list[str]:
    whole = _dataset(root / job.data)
    people = sorted(whole.people("forget") | whole.people("retain"))
    return [whole.names[person] for person in people]


def _base(root: Path, job: Job) -> Model:
    labels = _labels(root, job) if job.model == "classifier" else ()
    if job.source == "builtin":
        model = builtin_model(job.model, labels, job.seed)
    else:
        model = load_model(job.source, kind=job.model)
    if job.model == "classifier":
        model = with_head(model, labels, job.head, job.seed)
    return _with_shared_caches(model, job.source)


def _start(root: Path, job: Job) -> Model:
    if job.start is None:
        return _base(root, job)
    return stage_model(root, job.start)


def stage_model(root: Path, job: Job) -> Model:
    """A finished job's model; adapters and guards are put on the model they were made for."""
    folder = root / job.stage
    if is_guard(folder):
        model = _start(root, job)
        model.guards = load_guards(folder)
        return model
    if not is_adapter(folder):
        return _with_shared_caches(load_model(folder, kind=job.model), job.source)
    model = _start(root, job)
    load_adapter(model, folder)
    merge_adapters(model)
    return model


_CACHE = WorkCache()


def _with_shared_caches(model: Model, source: str) -> Model:
    """Models of one base share encoded rows, self-tests and features of frozen towers."""
    model.share(_CACHE, source)
    return model


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _metered() -> Iterator[dict[str, float]]:
    """Yields a dict that holds CPU seconds and the largest resident memory at the end."""
    cost: dict[str, float] = {}
    began, process = time.process_time(), psutil.Process()
    peak = [process.memory_info().rss]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield cost
    finally:
        done.set()
        cost["seconds"] = time.process_time() - began
        cost["peak_memory_bytes"] = peak[0]
