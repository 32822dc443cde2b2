"""Makes stages in a worker process, one at a time, and reports their progress."""

from __future__ import annotations

import gc
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from clearbench.devices import compute_device
from clearbench.errors import ClearbenchError, WriteError
from clearbench.libraries import torch
from clearbench.plugins import load_plugin
from clearbench.quiet import quiet_libraries
from clearbench.runs.cache import WorkerCache
from clearbench.runs.making import make_stage
from clearbench.runs.messages import CannotWrite, Ended, Message, Progress
from clearbench.runs.stage import Stage, StageOutcome
from clearbench.runs.store import Store

#: Seconds after which a worker returns a stage that another process is making.
PATIENCE = 1.0
#: Seconds between two reports on one stage.
REPORT_SECONDS = 0.2


def work(
    connection: Connection,
    root: Path,
    threads: int,
    plugins: tuple[str, ...],
    environment: dict[str, str],
    device: str,
) -> None:
    """Makes the stages that come in until the connection is closed."""
    os.environ.clear()
    os.environ.update(environment)
    quiet_libraries()
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
        connection.send(_made(stage, store, cache, connection, device))


def _made(
    stage: Stage, store: Store, cache: WorkerCache, connection: Connection, device: str
) -> Message:
    sent = [0.0]

    def on_progress(doing: str, done: int, total: int) -> None:
        if time.monotonic() - sent[0] > REPORT_SECONDS:
            sent[0] = time.monotonic()
            connection.send(Progress(doing, done, total))

    try:
        return Ended(make_stage(stage, store, cache, on_progress, PATIENCE, compute_device(device)))
    except WriteError as error:
        return CannotWrite(error.what, error.where, error.fix)
    except ClearbenchError as error:
        return Ended(StageOutcome("failed", error.what))
    except SystemExit as error:  # of a plugin
        return Ended(StageOutcome("failed", f"it ended its process with code {error.code}"))
    except Exception as error:  # a fault of a stage, mostly of a method, ends no run
        return Ended(StageOutcome("failed", repr(error)))
