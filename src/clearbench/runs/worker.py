"""Worker processes, which make one stage at a time and report its progress."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from clearbench.errors import ClearbenchError
from clearbench.plugins import load_plugin
from clearbench.quiet import quiet_libraries
from clearbench.runs.cache import WorkerCache
from clearbench.runs.making import make_stage
from clearbench.runs.stage import Stage, StageOutcome
from clearbench.runs.store import Store

#: Seconds after which a worker returns a stage that another process is making.
PATIENCE = 1.0
#: Seconds between two reports on one stage.
REPORT_SECONDS = 0.2
#: Modules that the server process imports, which workers are forked from: all stages.
PRELOADED = ["clearbench.runs.plan", __name__]


@dataclass(frozen=True)
class Progress:
    """Progress of a stage."""

    doing: str
    done: int
    total: int


@dataclass(frozen=True)
class Ended:
    """Outcome of a stage; None where another process is making it."""

    outcome: StageOutcome | None


Message = Progress | Ended


def _work(
    connection: Connection,
    root: Path,
    threads: int,
    plugins: tuple[str, ...],
    environment: dict[str, str],
) -> None:
    """Makes the stages that come in until the parent process ends or closes the connection."""
    os.environ.clear()
    os.environ.update(environment)
    quiet_libraries()
    _end_with_parent()
    gc.freeze()  # what the imports made stays: no collection has to look at it again
    torch.set_num_threads(threads)
    for path in plugins:
        load_plugin(Path(path))
    store, cache = Store(root), WorkerCache()
    while True:
        try:
            stage: Stage = connection.recv()
        except EOFError:
            return
        connection.send(Ended(_made(stage, store, cache, connection)))


def _made(
    stage: Stage, store: Store, cache: WorkerCache, connection: Connection
) -> StageOutcome | None:
    sent = [0.0]

    def on_progress(doing: str, done: int, total: int) -> None:
        if time.monotonic() - sent[0] > REPORT_SECONDS:
            sent[0] = time.monotonic()
            connection.send(Progress(doing, done, total))

    try:
        return make_stage(stage, store, cache, on_progress, PATIENCE)
    except ClearbenchError as error:
        return StageOutcome("failed", error.what)
    except Exception as error:  # a fault of a stage, mostly of a method, ends no run
        return StageOutcome("failed", repr(error))


def _end_with_parent() -> None:
    """Ends this process once the process of the run has ended, whatever killed that."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _context() -> ForkServerContext | SpawnContext:
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
        stage: Stage that it makes at the moment.
    """

    root: Path
    threads: int
    plugins: tuple[str, ...]
    stage: Stage | None = None
    _process: BaseProcess | None = field(default=None, repr=False)
    _connection: Connection | None = field(default=None, repr=False)

    def start(self, stage: Stage) -> None:
        """Assigns the worker a stage to make."""
        if self._process is None or not self._process.is_alive():
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
        except (EOFError, ConnectionResetError):
            message = Ended(StageOutcome("failed", self._death()))
        if isinstance(message, Ended):
            self.stage = None
        return message

    def stop(self) -> None:
        """Ends the process at once; the stage it was making can be resumed."""
        if self._process is not None:
            self._process.terminate()
            self._process.join()

    def _spawned(self) -> tuple[Connection, BaseProcess]:
        context = _context()
        ours, theirs = context.Pipe()
        about = (self.root, self.threads, self.plugins, dict(os.environ))
        process = context.Process(target=_work, args=(theirs, *about), daemon=True)
        process.start()
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
