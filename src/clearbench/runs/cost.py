"""Measures the time and the memory that a stage takes."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from clearbench.libraries import torch

#: Seconds between two readings of the memory.
INTERVAL = 0.05


@contextmanager
def metered(device: torch.device) -> Iterator[dict[str, Any]]:
    """Yields a mapping that holds `seconds` and `peak_memory_bytes` once the block has ended.

    It holds the `device` as well.

    Seconds are CPU time of this process; on a GPU, which the CPU waits for, they are wall time.
    The peak is the stage's own: what the process held before is freed as far as it can be, and the
    rest is subtracted. On a GPU it is the most that torch had allocated.

    Args:
        device: Device that the block computes on.
    """
    release_memory()
    cost: dict[str, Any] = {"device": device.type}
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    clock = time.perf_counter if on_gpu else time.process_time
    process, done = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    peak = [before]

    def watch() -> None:
        while not done.wait(INTERVAL):
            peak[0] = max(peak[0], process.memory_info().rss)

    began = clock()
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield cost
    finally:
        done.set()
        cost["seconds"] = clock() - began
        rise = max(peak[0], process.memory_info().rss) - before
        cost["peak_memory_bytes"] = (
            torch.cuda.max_memory_allocated(device) if on_gpu else max(0, rise)
        )


def release_memory() -> None:
    """Returns unreferenced memory to the system, where it can be asked for."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
