"""Runs a plan: jobs in worker processes, each as soon as what it starts from is there."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from clearbench.errors import ClearbenchError, StorageError
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.runs import work
from clearbench.runs.plan import Family, Job
from clearbench.storage import is_finished, read_json

#: Rough weight of a measurement beside a training step, for the time left.
MEASURE_WEIGHT = 12


class Runtime(BaseModel):
    """Where and how a recipe runs; never part of its identity.

    Attributes:
        workers: Processes; by default one per core, at most eight. All of them use the same GPU
            where there is one: give 1 if it cannot hold several models.
        threads: Threads of each. One keeps results equal on any number of cores.
        plugins: Python files with further methods, given on the command line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default_factory=lambda: max(1, min(8, os.cpu_count() or 1)), ge=1)
    threads: int = Field(default=1, ge=1)
    plugins: tuple[str, ...] = ()


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Refuses a second process on the same run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StorageError(
            "another process is working in this folder", str(folder), "wait for it, or use --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass
class Outcome:
    """What became of every job: `ok`, `diverged` or `failed`, and why."""

    status: dict[str, str] = field(default_factory=dict)
    reason: dict[str, str] = field(default_factory=dict)


_EVENTS: Any = None


def _start(threads: int, plugins: tuple[str, ...], events: Any) -> None:
    global _EVENTS
    _EVENTS = events
    work.start_worker(threads, plugins)


def _tell(*event: Any) -> None:
    _EVENTS.put(event)


def _make_and_measure(root: Path, job: Job, evaluation: EvaluationSettings) -> str:
    status = work.make_model(root, job, _tell)
    if status == "ok":
        work.measure(root, job, evaluation, _tell)
    return status


def is_done(root: Path, job: Job, evaluation: EvaluationSettings) -> bool:
    """Whether nothing is left to do for a job."""
    return is_finished(root / job.stage) and (
        all(is_finished(root / name) for name in job.all_records(evaluation))
        or read_json(root / job.stage / work.OUTCOME)["status"] != "ok"
    )


def _cost(job: Job) -> int:
    per_step = {"language": 2, "vision-language": 4, "classifier": 1}[job.model]
    return int(job.settings["steps"]) * per_step + 100 * MEASURE_WEIGHT


def execute(
    root: Path,
    families: list[Family],
    evaluation: EvaluationSettings,
    runtime: Runtime,
    console: Console,
    then: Callable[[Any, Outcome], None],
) -> Outcome:
    """Makes and measures every job that is not done, then calls `then(pool, outcome)`.

    A job that fails is reported and everything that starts from it is skipped; the rest goes on.
    """
    jobs = [job for family in families for job in family.jobs]
    unique = {(job.stage, job.records(evaluation)): job for job in reversed(jobs)}
    # Originals first: everything else waits for them.
    todo = sorted(unique.values(), key=lambda job: (job.role != "original", -_cost(job)))
    outcome = Outcome()
    os.environ["OMP_NUM_THREADS"] = str(runtime.threads)
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    pool = ProcessPoolExecutor(
        runtime.workers, context, _start, (runtime.threads, runtime.plugins, events)
    )
    try:
        with _Display(console, todo) as display:
            _schedule(pool, root, todo, evaluation, outcome, display, events)
        then(pool, outcome)
    except BrokenProcessPool as error:
        raise ClearbenchError(
            "a worker process was killed",
            str(root),
            "run the same command again: finished stages are kept (less memory: --workers 1)",
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for job in jobs:
        twin = unique[job.stage, job.records(evaluation)]
        outcome.status[job.id] = outcome.status[twin.id]
        outcome.reason[job.id] = outcome.reason.get(twin.id, "")
    return outcome


def _schedule(
    pool: ProcessPoolExecutor,
    root: Path,
    todo: list[Job],
    evaluation: EvaluationSettings,
    outcome: Outcome,
    display: _Display,
    events: Any,
) -> None:
    waiting = list(todo)
    stages: dict[str, str] = {}
    running: dict[Future[str], Job] = {}
    while waiting or running:
        for job in list(waiting):
            busy = any(other.stage == job.stage for other in running.values())
            ready = not busy and (job.start is None or job.start.stage in stages)
            if ready:
                waiting.remove(job)
                if job.start is not None and stages[job.start.stage] != "ok":
                    reason = f"it starts from {job.start.id}, which is {stages[job.start.stage]}"
                    _note(outcome, stages, display, job, "failed", reason)
                else:
                    running[pool.submit(_make_and_measure, root, job, evaluation)] = job
        done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        display.drain(events)
        for future in done:
            job = running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                raise error
            if error is not None:
                reason = error.what if isinstance(error, ClearbenchError) else repr(error)
                _note(outcome, stages, display, job, "failed", reason)
                continue
            status = future.result()
            reason = ""
            if status != "ok":
                reason = read_json(root / job.stage / work.OUTCOME)["reason"]
            _note(outcome, stages, display, job, status, reason)


def _note(
    outcome: Outcome, stages: dict[str, str], display: _Display, job: Job, status: str, reason: str
) -> None:
    outcome.status[job.id], outcome.reason[job.id] = status, reason
    stages[job.stage] = status
    display.finished(job, status, reason)


class _Display:
    """Progress on a terminal: what runs, how much is done, how long is left. Silent elsewhere."""

    def __init__(self, console: Console, jobs: list[Job]) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._weights = {job.id: float(_cost(job)) for job in jobs}
        self._rows: dict[str, Any] = {}

    def __enter__(self) -> _Display:
        self._progress.start()
        total = sum(self._weights.values())
        self._all = self._progress.add_task("[bold]all stages", total=total)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def drain(self, events: Any) -> None:
        """Shows what the workers have told."""
        while True:
            try:
                name, doing, done, total = events.get_nowait()
            except queue.Empty:
                return
            if name not in self._rows:
                self._rows[name] = self._progress.add_task(name, total=total)
            self._progress.update(
                self._rows[name], description=f"{name}: {doing}", completed=done, total=total
            )

    def finished(self, job: Job, status: str, reason: str) -> None:
        """Takes a job's line away; a job that did not end well is named."""
        if job.id in self._rows:
            self._progress.remove_task(self._rows.pop(job.id))
        self._progress.advance(self._all, self._weights[job.id])
        if status != "ok":
            self._console.print(f"{job.id}: {status}: {reason}", markup=False, highlight=False)
