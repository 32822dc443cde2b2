"""Foresees the memory and the time of the stages that train, without loading weights."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from clearbench.data.dataset import Dataset
from clearbench.data.modality import parse_modalities
from clearbench.errors import ClearbenchError
from clearbench.models.base import Model
from clearbench.models.outline import outlined
from clearbench.runs.stage import Stage
from clearbench.runs.stages.teach import TeachStage
from clearbench.runs.stages.unlearn import UnlearnStage
from clearbench.training.peak_memory import PeakMemory, teaching_memory, unlearning_memory

MEGABYTE = 2**20
#: Side of the square matrices whose product gives the rate of this machine.
SIDE = 768


@dataclass(frozen=True)
class Foreseen:
    """What a stage will take.

    Attributes:
        memory: Peak memory; None where it cannot be foreseen.
        seconds: Time of its matrix products at this machine's rate; None likewise.
        why_not: Reason in words.
    """

    memory: PeakMemory | None = None
    seconds: float | None = None
    why_not: str = ""

    def __str__(self) -> str:
        if self.memory is None:
            return f"memory not foreseen: {self.why_not}"
        parts = (
            f"{name} {size / MEGABYTE:,.0f}" for name, size in self.memory.parts.items() if size
        )
        total = f"{self.memory.total / MEGABYTE:,.0f} MB at most ({', '.join(parts)})"
        return f"{total}, {_duration(self.seconds or 0)} or more"


class Foresight:
    """Foresees stages, each of one content once.

    Args:
        dataset: Rows of all people.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._rate = _rate()
        self._known: dict[str, Foreseen] = {}

    def of(self, stage: Stage) -> Foreseen | None:
        """Foresees a stage; None for one that trains nothing."""
        if not isinstance(stage, TeachStage | UnlearnStage):
            return None
        if stage.key not in self._known:
            self._known[stage.key] = self._foreseen(stage)
        return self._known[stage.key]

    def _foreseen(self, stage: TeachStage | UnlearnStage) -> Foreseen:
        try:
            return self._on(outlined(lambda: stage.base.outline(self.dataset)), stage)
        except ClearbenchError as error:
            return Foreseen(why_not=error.what)
        except Exception as error:  # what needs values raises anything where there are none
            return Foreseen(why_not=f"it depends on values ({type(error).__name__})")

    def _on(self, model: Model, stage: TeachStage | UnlearnStage) -> Foreseen:
        if isinstance(stage, TeachStage):
            data = self.dataset.forgetting(stage.without) if stage.without else self.dataset
            without = ("forget",) if stage.without else ()
            memory = teaching_memory(
                model, data.for_kind(stage.base.kind), stage.train, stage.seed, without
            )
        else:
            data = self.dataset.forgetting(stage.forget, stage.gone)
            memory = unlearning_memory(
                model,
                data.for_kind(stage.base.kind),
                stage.configured,
                parse_modalities(stage.modality),
                stage.train,
                stage.seed,
            )
        return Foreseen(memory, memory.operations / self._rate)


def _rate() -> float:
    """Measures operations a second of a matrix product on one core or more, as torch uses."""
    square = torch.ones(SIDE, SIDE)
    square @ square
    began = time.perf_counter()
    square @ square
    return 2 * SIDE**3 / max(1e-9, time.perf_counter() - began)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
