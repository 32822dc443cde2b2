"""Ends a run whose numbers are not finite or whose model collapses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clearbench.training.checkpoint import History
from clearbench.training.goal import EVERY, ROWS
from clearbench.training.rows import TrainingRows


class Diverged(Exception):
    """Raised when a loss or gradient is not finite, or the loss on retain rows has risen too far.

    A value that is not finite is found before the update that would have used it.
    """

    def __init__(self, values: Mapping[str, float], history: History, why: str = "") -> None:
        self.step, self.values, self.history = len(history), dict(values), history
        parts = ", ".join(f"{name} = {value}" for name, value in values.items())
        super().__init__(why or f"not finite at step {self.step}: {parts}")


class Watch:
    """Compares the loss on a few fixed retain rows with its value before unlearning.

    Args:
        rows: Training rows, of which the retain rows are sampled.
        max_rise: Largest rise of the loss that is allowed, in nats per answer token.
    """

    def __init__(self, rows: TrainingRows, max_rise: float) -> None:
        items = rows.items("retain")
        self._model = rows.model
        self._items = items[:: max(1, len(items) // ROWS)][:ROWS]
        self._most = self._loss() + max_rise

    def check(self, history: History) -> None:
        """Measures the loss on retain rows every few steps, after an update.

        Raises:
            Diverged: The loss is larger than it may be.
        """
        if len(history) % EVERY:
            return
        loss = self._loss()
        if not loss <= self._most:  # also when it is not a number
            raise Diverged(
                history[-1],
                history,
                f"the loss on retain rows is {loss:.3f} after {len(history)} steps; "
                f"`max_retain_rise` lets it be {self._most:.3f}",
            )

    def _loss(self) -> float:
        """The mean negative log-likelihood per answer token."""
        with self._model.measured():
            readings = self._model.score_items(self._items).values()
        return -float(
            np.concatenate([reading.log_probs for reading in readings]).mean(dtype=np.float64)
        )
