"""Makes stages in worker processes, each as soon as what it starts from is finished."""

from __future__ import annotations

import multiprocessing.connection
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from clearbench.devices import AUTO, gpus, own_gpu
from clearbench.errors import WriteError
from clearbench.runs.display import Display, display_for
from clearbench.runs.making import finished_outcome
from clearbench.runs.messages import CannotWrite, Progress
from clearbench.runs.stage import Stage, StageOutcome, with_parents
from clearbench.runs.store import Store
from clearbench.runs.worker import Worker

#: Seconds to wait before a stage that another process is making is tried again.
PAUSE = 0.5


class Runtime(BaseModel):
    """Processes, threads and plugins of a run; never part of a recipe's identity.

    Attributes:
        workers: Number of processes; None for one per GPU, or per core, at most eight. More of
            them than GPUs share those in turn.
        threads: Number of threads of each process. One keeps results equal on any number of cores.
        plugins: Python files with further methods, given on the command line.
        device: Device that models compute on, as in `compute_device`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = AUTO
    workers: int | None = Field(default=None, ge=1)
    threads: int = Field(default=1, ge=1)
    plugins: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """Number of processes; one per GPU or core where none was asked for."""
        if self.workers is not None:
            return self.workers
        return len(gpus(self.device)) or max(1, min(8, os.cpu_count() or 1))


def execute(
    stages: Sequence[Stage], store: Store, runtime: Runtime, console: Console
) -> dict[str, StageOutcome]:
    """Makes all stages that are not finished, and what they start from.

    A stage that fails is named and everything that starts from it is left out; the rest goes on. A
    worker process that dies costs the stage that it was making and is replaced. A damaged stage is
    named, moved aside and made again.

    Returns:
        Outcome of every stage, by key.

    Raises:
        WriteError: The store cannot be written, so that no further stage could be kept.
    """
    wanted = with_parents(stages)
    set_aside(wanted, store, console)
    outcomes = {
        key: finished_outcome(stage, store) for key, stage in wanted.items() if store.holds(key)
    }
    todo = [stage for key, stage in wanted.items() if key not in outcomes]
    if todo:
        os.environ["OMP_NUM_THREADS"] = str(runtime.threads)
        with display_for(console, todo, runtime.processes) as display:
            _Schedule(store.root, todo, outcomes, runtime, display).run()
    return outcomes


def set_aside(keys: Iterable[str], store: Store, console: Console) -> None:
    """Moves damaged stages aside and names them; they are made again."""
    for key in keys:
        if lines := store.set_aside(key):
            said = f"damaged {key}: {'; '.join(lines)}"
            console.print(said, markup=False, highlight=False, soft_wrap=True)


@dataclass
class _Schedule:
    """Assigns stages to workers.

    Attributes:
        root: Folder of the store.
        waiting: Stages that no worker has begun.
        outcomes: Outcomes of stages, by key; added to.
    """

    root: Path
    waiting: list[Stage]
    outcomes: dict[str, StageOutcome]
    runtime: Runtime
    display: Display
    workers: list[Worker] = field(default_factory=list)

    def run(self) -> None:
        """Works until every stage has an outcome."""
        ranks = critical_weights(self.waiting)
        self.waiting.sort(key=lambda stage: -ranks[stage.key])
        count = min(self.runtime.processes, len(self.waiting))
        about = (self.root, self.runtime.threads, self.runtime.plugins, self.runtime.device)
        shared = gpus(self.runtime.device)
        self.workers = [Worker(*about, own_gpu(number, shared)) for number in range(count)]
        try:
            while self.waiting or self._busy():
                self._drop_impossible()
                self._hand_out()
                self._receive()
        finally:
            for worker in self.workers:
                worker.stop()

    def _busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.stage is not None]

    def _drop_impossible(self) -> None:
        """Ends every stage that starts from one that did not end well."""
        for stage in list(self.waiting):
            for parent in stage.parents.values():
                outcome = self.outcomes.get(parent.key)
                if outcome is not None and outcome.status != "ok":
                    why = f"it starts from {parent.label}, which is {outcome.status}"
                    self.waiting.remove(stage)
                    self._end(stage, StageOutcome("failed", f"{why}: {outcome.reason}"))
                    break

    def _hand_out(self) -> None:
        """Assigns every idle worker the first stage whose parents are finished."""
        for worker in self.workers:
            ready = next((stage for stage in self.waiting if self._is_ready(stage)), None)
            if worker.stage is None and ready is not None:
                self.waiting.remove(ready)
                worker.start(ready)
                self.display.begin(ready)

    def _is_ready(self, stage: Stage) -> bool:
        return all(parent.key in self.outcomes for parent in stage.parents.values())

    def _receive(self) -> None:
        """Handles the messages of workers, and waits a little for them."""
        busy = {worker.connection: worker for worker in self._busy()}
        for connection in multiprocessing.connection.wait(list(busy), timeout=PAUSE):
            worker = busy[connection]  # type: ignore[index]  # of the connections waited for
            stage, message = worker.stage, worker.receive()
            if stage is None:
                continue
            if isinstance(message, CannotWrite):
                raise WriteError(message.what, message.where, message.fix)
            if isinstance(message, Progress):
                self.display.advance(stage, message.doing, message.done, message.total)
            elif message.outcome is None:
                self.waiting.append(stage)
                self.display.wait(stage)
            else:
                self._end(stage, message.outcome)

    def _end(self, stage: Stage, outcome: StageOutcome) -> None:
        self.outcomes[stage.key] = outcome
        self.display.end(stage, outcome)


def critical_weights(stages: Sequence[Stage]) -> Mapping[str, float]:
    """Computes the weight of the longest chain of stages that begins with each stage."""
    weights = {stage.key: stage.weight for stage in stages}
    longest = dict(weights)
    for stage in reversed(stages):  # parents come before their children
        for parent in stage.parents.values():
            if parent.key in longest:
                chain = weights[parent.key] + longest[stage.key]
                longest[parent.key] = max(longest[parent.key], chain)
    return longest
