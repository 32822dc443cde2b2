"""Begins a worker process, which ends with its parent from before its first heavy import."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any


def begin(*given: Any) -> None:
    """Works for the parent process until that ends, whatever ends it.

    The parent alone answers Ctrl-C, which a terminal sends to all of its processes.

    Args:
        *given: Arguments of `runs.work.work`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if callable(signal.getsignal(number)):  # of a parent that was forked
            signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from clearbench.runs.work import work

    work(*given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
