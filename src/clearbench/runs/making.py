"""Makes one stage, or finds it finished: the only way into a store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from clearbench.runs.cache import WorkerCache
from clearbench.runs.stage import (
    OnProgress,
    Stage,
    StageInputs,
    StageOutcome,
    read_outcome,
)
from clearbench.runs.store import Store

if TYPE_CHECKING:
    import torch


def make_stage(
    stage: Stage,
    store: Store,
    cache: WorkerCache,
    on_progress: OnProgress,
    wait: float = -1,
    device: torch.device | None = None,
) -> StageOutcome | None:
    """Makes a stage unless it is finished; one process makes it and the others wait and read.

    Args:
        stage: Stage whose parents are finished.
        store: Store that keeps it.
        cache: Cache that the stages of this process share.
        on_progress: Function called as the work goes on.
        wait: Seconds to wait for another process that makes it; negative waits for ever.
        device: Device that models compute on; None for the one that is there.

    Returns:
        Outcome of the stage; None where another process is still making it.
    """
    if not store.holds(stage.key):
        with store.lock(stage.key, wait) as mine:
            if not mine:
                return None
            if not store.holds(stage.key):
                inputs = StageInputs(store, cache, store.scratch(stage.key), on_progress, device)
                about = {"kind": stage.kind, "label": stage.label, **asdict(stage.ingredients)}
                with store.new(stage.key, about) as folder:
                    stage.make(folder, inputs)
    return finished_outcome(stage, store)


def finished_outcome(stage: Stage, store: Store) -> StageOutcome:
    """Reads the outcome of a finished stage."""
    outcome = read_outcome(store.folder(stage.key))
    return StageOutcome(outcome["status"], outcome["reason"])
