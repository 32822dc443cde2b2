"""Finds the stage of a method whose end is the end of its forgetting."""

from __future__ import annotations

from clearbench.methods.base import Method
from clearbench.methods.stages import Edit, Train
from clearbench.training.roles import DERIVED


def forgetting_stage(method: Method) -> int | None:
    """The number of the stage that a goal ends: the last one that reads forget rows, if it trains.

    None where an edit forgets, also after training, or where rows are left out.
    """
    stages = method.stages()
    edits = [number for number, stage in enumerate(stages) if isinstance(stage, Edit)]
    trained = [
        number
        for number, stage in enumerate(stages)
        if isinstance(stage, Train) and {"forget", *DERIVED} & {*method.reads(stage)}
    ]
    return trained[-1] if trained and max(edits, default=-1) < trained[-1] else None
