"""Scores a small sample during a training, without changing it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clearbench.attacks.scoring import split_scores
from clearbench.data.dataset import Dataset
from clearbench.errors import DataError
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.runs.stages.unlearn import Observer

if TYPE_CHECKING:
    from clearbench.models.base import Model


class Curve(Observer):
    """Measures a model after chosen steps.

    Args:
        dataset: Rows to draw the sample from.
        settings: Settings as `EvaluationSettings.curve_settings`.

    Attributes:
        seconds: CPU time that the measuring has taken.
    """

    def __init__(self, dataset: Dataset, settings: Mapping[str, Any]) -> None:
        from clearbench.evaluation.engine import sample

        self.seconds = 0.0
        self._settings = settings
        self._sample = sample(dataset, settings["limit"])

    def wants(self, step: int) -> bool:
        """Whether the model is measured after so many steps."""
        steps = self._settings["steps"]
        return step % steps == 0 if isinstance(steps, int) else step in steps

    def measure(self, model: Model, step: int) -> dict[str, float]:
        """Computes finite scores by key; none where the model gives no numbers."""
        from clearbench.evaluation.engine import evaluate

        if not self.wants(step):
            return {}
        began, forwards = time.process_time(), model.forwards
        settings = {k: v for k, v in self._settings.items() if k not in ("steps", "limit")}
        measured = EvaluationSettings.of(**settings, limit=None)
        records = evaluate(model, self._sample, measured)
        self.seconds += time.process_time() - began
        model.forwards = forwards
        try:
            scores = split_scores(records, measured.protocol)
        except DataError:  # not finite: the loop raises when its loss is not
            return {}
        return {key: score.value for key, score in scores.items() if math.isfinite(score.value)}
