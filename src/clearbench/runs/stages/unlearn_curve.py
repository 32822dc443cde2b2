"""Makes a model forget, and scores a small sample on the way.

A class of its own: only runs that are measured on the way depend on the code that measures them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from clearbench.runs.stage import StageInputs
from clearbench.runs.stages.curve import Curve
from clearbench.runs.stages.unlearn import Observer, UnlearnStage


@dataclass(frozen=True)
class UnlearnWithCurveStage(UnlearnStage):
    """Makes a model forget people and measures it after chosen steps.

    Attributes:
        curve: Settings of the curve, as JSON.
    """

    observed: ClassVar[bool] = True

    curve: Mapping[str, Any] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of unlearning and of the curve, whose scores are part of the history."""
        return super().settings | {"curve": dict(self.curve or {})}

    def observer(self, inputs: StageInputs) -> Observer:
        """Returns a curve over the people forgotten so far, and those who are kept."""
        dataset = self.data.dataset(inputs).forgetting({*self.forget, *self.gone})
        return Curve(dataset.for_kind(self.base.kind), self.curve or {})
