"""Worker processes as their parent sees them, each with a new one in its place once it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from clearbench.devices import AUTO
from clearbench.runs.messages import Ended, Message, Progress
from clearbench.runs.spawned import begin
from clearbench.runs.stage import Stage, StageOutcome

#: Modules that the server process imports, which workers are forked from: its own end, all stages,
#: and the libraries that those import when they are made.
PRELOADED = [
    "clearbench.runs.server",
    "clearbench.runs.plan_shadows",
    "clearbench.runs.work",
    "clearbench.builtin.models",
    "clearbench.evaluation.engine",
    "clearbench.training.unlearn",
    "clearbench.models.families.llava",
    *("accelerate", "pandas", "pyarrow.parquet", "rouge_score.rouge_scorer", "scipy.stats"),
    *("sklearn.preprocessing", "torch.distributed.tensor"),
]
#: Seconds in which a process that is told to end does so.
GRACE = 5.0


def process_context() -> BaseContext:
    """Chooses how workers begin.

    On Linux a server process imports the libraries once and forks every worker. Elsewhere forking
    is not safe after imports, and each worker imports them itself.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@dataclass
class Worker:
    """A worker process, and a new one in its place once it has died.

    Attributes:
        root: Folder of the store.
        threads: Number of threads of the process.
        plugins: Python files that it loads.
        device: Device that its models compute on.
        environment: Variables that it sees besides those of its parent.
        stage: Stage that it makes at the moment.
    """

    root: Path
    threads: int
    plugins: tuple[str, ...]
    device: str = AUTO
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: Stage | None = None
    _process: BaseProcess | None = field(default=None, repr=False)
    _connection: Connection | None = field(default=None, repr=False)

    def start(self, stage: Stage) -> None:
        """Assigns the worker a stage to make."""
        if self._process is None or not self._process.is_alive():
            self._connection, self._process = self._spawned()
        try:
            self.connection.send(stage)
        except OSError:  # it died since it was asked
            self._connection, self._process = self._spawned()
            self.connection.send(stage)
        self.stage = stage

    @property
    def connection(self) -> Connection:
        """Connection that messages of the running process come from."""
        if self._connection is None:
            raise RuntimeError("the worker has not been started")
        return self._connection

    def receive(self) -> Message:
        """Returns the next message; the death of the process is the failure of its stage."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):  # an error where it died in the middle of a message
            message = Ended(StageOutcome("failed", self._death()))
        if not isinstance(message, Progress):
            self.stage = None
        return message

    def stop(self) -> None:
        """Ends the process at once; the stage it was making can be resumed."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(GRACE)
            self._process.kill()
            self._process.join()

    def _spawned(self) -> tuple[Connection, BaseProcess]:
        context = process_context()
        ours, theirs = context.Pipe()
        seen = {**os.environ, **self.environment}
        given = (theirs, self.root, self.threads, self.plugins, seen, self.device)
        process: BaseProcess = context.Process(target=begin, args=given, daemon=True)  # type: ignore[attr-defined]
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()  # with the blocked signal, so that Ctrl-C never reaches it
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        theirs.close()
        return ours, process

    def _death(self) -> str:
        """Waits for the end of the process and describes its cause."""
        process = self._process
        if process is None:
            return "its worker process never began"
        process.join()
        code = process.exitcode or 0
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"its worker process was {how}" if code < 0 else f"its worker process {how}"
