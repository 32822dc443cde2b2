"""Scores of a small sample during a training, which they leave as it is."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from clearbench.attacks.scoring import split_scores
from clearbench.data.dataset import Dataset
from clearbench.errors import DataError
from clearbench.evaluation.engine import evaluate, sample
from clearbench.evaluation.settings import EvaluationSettings
from clearbench.models.base import Model


class Curve:
    """Measures a model after chosen steps.

    Args:
        dataset: Its measured rows.
        settings: `EvaluationSettings.curve_settings`; None measures nothing.

    Attributes:
        seconds: CPU time it took, which is no part of what training costs; nor are its passes.
    """

    def __init__(self, dataset: Dataset, settings: Mapping[str, Any] | None) -> None:
        self.seconds = 0.0
        self._settings = settings
        self._sample = sample(dataset, settings["limit"]) if settings else dataset

    def wants(self, step: int) -> bool:
        """Whether the model is measured after so many steps."""
        if self._settings is None:
            return False
        steps = self._settings["steps"]
        return step % steps == 0 if isinstance(steps, int) else step in steps

    def look(self, model: Model, step: int) -> dict[str, float]:
        """Finite scores by key; none where it is not wanted, or the model gives no numbers."""
        if self._settings is None or not self.wants(step):
            return {}
        began, forwards = time.process_time(), model.forwards
        about = {k: v for k, v in self._settings.items() if k not in ("steps", "limit")}
        measured = EvaluationSettings.of(**about, limit=None)
        records = evaluate(model, self._sample, measured)
        self.seconds += time.process_time() - began
        model.forwards = forwards
        try:
            scores = split_scores(records, measured.protocol)
        except DataError:  # not finite: the loop says so when its loss is not
            return {}
        return {key: score.value for key, score in scores.items() if math.isfinite(score.value)}

    def points(self, history: list[dict[str, float]], most: int) -> list[dict[str, float]]:
        """About `most` steps of a history, evenly spread, and every step that was measured."""
        every = max(1, len(history) // most)
        return [
            {"step": number, **values}
            for number, values in enumerate(history, start=1)
            if (number - 1) % every == 0 or number == len(history) or self.wants(number)
        ]
