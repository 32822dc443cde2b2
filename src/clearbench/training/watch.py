"""When a run is given up: numbers that are not finite, or a model that collapses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clearbench.training.checkpoint import History
from clearbench.training.goal import EVERY, ROWS
from clearbench.training.rows import TrainingRows


class Diverged(Exception):
    """A loss or gradient is no longer finite, or what should be kept is being lost.

    What is not finite is found before the update that would have used it.
    """

    def __init__(self, values: Mapping[str, float], history: History, why: str = "") -> None:
        self.step, self.values, self.history = len(history), dict(values), history
        parts = ", ".join(f"{name} = {value}" for name, value in values.items())
        super().__init__(why or f"not finite at step {self.step}: {parts}")


class Watch:
    """Compares the loss on a few fixed retain rows with what it was before unlearning."""

    def __init__(self, rows: TrainingRows, max_rise: float) -> None:
        items = rows.items("retain")
        self._model = rows.model
        self._items = items[:: max(1, len(items) // ROWS)][:ROWS]
        self._most = self._loss() + max_rise

    def look(self, history: History) -> None:
        """Every few steps, after an update.

        Raises:
            Diverged: When the loss is larger than it may be.
        """
        if len(history) % EVERY:
            return
        found = self._loss()
        if not found <= self._most:  # also when it is not a number
            raise Diverged(
                history[-1],
                history,
                f"the loss on retain rows is {found:.3f} after {len(history)} steps; "
                f"`max_retain_rise` lets it be {self._most:.3f}",
            )

    def _loss(self) -> float:
        """Mean negative log-likelihood per answer token."""
        with self._model.measured():
            readings = self._model.score_items(self._items).values()
        return -float(np.concatenate([each.log_probs for each in readings]).mean(dtype=np.float64))
