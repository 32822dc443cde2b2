"""Scores of a small sample during a training, which they leave as it is."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.errors import DataError
from clearbench.evaluation.engine import evaluate, sample
from clearbench.evaluation.protocols import protocol
from clearbench.evaluation.scoring import split_scores
from clearbench.models.base import Model
from clearbench.runs.stages.unlearn import Observer


class Curve(Observer):
    """Measures a model after chosen steps.

    Args:
        dataset: Rows to draw the sample from.
        settings: `EvaluationPart.curve_settings`.

    Attributes:
        seconds: CPU time that the measuring has taken.
    """

    def __init__(self, dataset: Dataset, settings: Mapping[str, Any]) -> None:
        self.seconds = 0.0
        self._settings = settings
        self._sample = sample(dataset, settings["limit"])

    def wants(self, step: int) -> bool:
        """Whether the model is measured after so many steps."""
        steps = self._settings["steps"]
        return step % steps == 0 if isinstance(steps, int) else step in steps

    def measure(self, model: Model, step: int) -> dict[str, float]:
        """Computes finite scores by key; none where the model gives no numbers."""
        if not self.wants(step):
            return {}
        began, forwards = time.process_time(), model.forwards
        records = evaluate(
            model,
            self._sample,
            splits=self._settings["splits"],
            asks=self._settings["asks"],
            spoken=protocol(self._settings["protocol"]).spoken,
            max_new_tokens=self._settings["max_new_tokens"],
            stop_after=self._settings["stop_after"],
        )
        self.seconds += time.process_time() - began
        model.forwards = forwards
        try:
            scores = split_scores(records, self._settings["protocol"])
        except DataError:  # not finite: the loop says so when its loss is not
            return {}
        return {key: score.value for key, score in scores.items() if math.isfinite(score.value)}
