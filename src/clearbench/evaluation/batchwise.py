"""Runs a long measurement batch by batch, shared among processes and resumed after a kill.

Which rows form a batch depends neither on the number of processes nor on what was done before a
kill, so both leave the records as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from accelerate.utils import gather_object

from clearbench.libraries import pd
from clearbench.processes import processes
from clearbench.storage import is_finished, new_folder, quarantine, verify

#: Function called with (batches done, batches in all) of this process.
OnBatch = Callable[[int, int], None]
#: Seconds between two saves.
SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class Parts:
    """Finished batches, as sealed folders `NAME-FIRST`.

    Attributes:
        folder: Folder that holds the parts.
        name: Hash of what is measured: parts of another name are left alone.
    """

    folder: Path
    name: str

    def load(self) -> dict[int, pd.DataFrame]:
        """Loads batches by number; a damaged part is moved aside, so that it is measured again."""
        batches: dict[int, pd.DataFrame] = {}
        for part in sorted(self.folder.glob(f"{self.name}-*")):
            if is_finished(part) and not verify(part):
                batches |= {int(f.stem): pd.read_parquet(f) for f in part.glob("*.parquet")}
            elif ".corrupt-" not in part.name:
                with suppress(FileNotFoundError):  # another process was first
                    quarantine(part)
        return batches

    def save(self, batches: Mapping[int, pd.DataFrame]) -> None:
        """Writes some batches as one sealed part, a file each."""
        with new_folder(self.folder / f"{self.name}-{min(batches):07d}", {}) as temporary:
            for number, frame in batches.items():
                frame.to_parquet(temporary / f"{number:07d}.parquet", index=False)


def measure(
    batches: Sequence[Callable[[], pd.DataFrame]],
    parts: Parts | None = None,
    on_batch: OnBatch | None = None,
) -> list[pd.DataFrame]:
    """Returns the frame of every batch in order, on every process; each measures its share.

    Args:
        batches: Functions that measure a batch, the same on every process; all must call this.
        parts: Store of finished batches; None keeps nothing.
        on_batch: Function called with the progress of this process.
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
