"""A long measurement in batches: shared among processes, and taken up again after a kill.

Which rows form a batch depends neither on the number of processes nor on what was done before a
kill, so both leave the records as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from accelerate.utils import gather_object

from clearbench.processes import processes
from clearbench.storage import is_finished, new_folder, verify

#: Called with (batches done, batches in all) of this process.
OnBatch = Callable[[int, int], None]
#: How often what is new is saved.
SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class Parts:
    """Batches that are done, as sealed folders `NAME-FIRST`.

    Attributes:
        folder: Where they are.
        name: Says what is measured: parts of another name are left alone.
    """

    folder: Path
    name: str

    def load(self) -> dict[int, pd.DataFrame]:
        """Batches by number; a damaged part does not count."""
        found: dict[int, pd.DataFrame] = {}
        for part in sorted(self.folder.glob(f"{self.name}-*")):
            if is_finished(part) and not verify(part):
                found |= {int(f.stem): pd.read_parquet(f) for f in part.glob("*.parquet")}
        return found

    def save(self, batches: Mapping[int, pd.DataFrame]) -> None:
        """Seals some batches as one part, a file each."""
        with new_folder(self.folder / f"{self.name}-{min(batches):07d}", {}) as temporary:
            for number, frame in batches.items():
                frame.to_parquet(temporary / f"{number:07d}.parquet", index=False)


def measure(
    batches: Sequence[Callable[[], pd.DataFrame]],
    parts: Parts | None = None,
    on_batch: OnBatch | None = None,
) -> list[pd.DataFrame]:
    """What every batch gives, in order, on every process; each process does its share.

    Args:
        batches: The same on every process, and every process must call this.
        parts: Where to keep what is done and to look for it; None keeps nothing.
        on_batch: Told about this process's batches.
    """
    state, saved = processes(), time.monotonic()
    mine = range(state.process_index, len(batches), state.num_processes)
    known = parts.load() if parts else {}
    fresh: dict[int, pd.DataFrame] = {}
    for done, number in enumerate(mine, start=1):
        if number not in known:
            fresh[number] = known[number] = batches[number]()
        if parts and fresh and time.monotonic() - saved > SAVE_SECONDS:
            parts.save(fresh)
            fresh, saved = {}, time.monotonic()
        if on_batch is not None:
            on_batch(done, len(mine))
    everything = dict(gather_object([(number, known[number]) for number in mine]))
    return [everything[number] for number in range(len(batches))]
