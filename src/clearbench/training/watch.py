"""Ends a run whose numbers or weights are not finite, or whose model collapses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from clearbench.batches.items import Item
from clearbench.errors import ClearbenchError
from clearbench.models.base import Model
from clearbench.models.loaded_weights import not_finite
from clearbench.models.model_files import named
from clearbench.training.checkpoint import History
from clearbench.training.goal import EVERY, ROWS
from clearbench.training.rows import TrainingRows

#: What mends most runs that diverge.
LOWER = "lower the learning rate (train.learning_rate), or the strength of the method"


class Diverged(ClearbenchError):
    """Raised when a loss, a gradient or weights are not finite, or retain rows are lost.

    A loss that is not finite is found before the update that would have used it.

    Args:
        values: Values of the last step.
        history: Values of each step before it.
        why: What has happened; None for values that are not finite.
        fix: What the user can do.
    """

    def __init__(
        self, values: Mapping[str, float], history: History, why: str = "", fix: str = LOWER
    ) -> None:
        self.step, self.values, self.history = len(history), dict(values), history
        parts = ", ".join(f"{name} = {value}" for name, value in values.items())
        super().__init__(why or f"not finite at step {self.step}: {parts}", "training", fix)


def check_trained(model: Model, items: Iterable[Item], history: History) -> None:
    """Refuses a model that its last update has made useless, which no loss has seen.

    Args:
        model: Model after training or an edit.
        items: Rows of which the first that it can read is read.
        history: Values of each step.

    Raises:
        Diverged: Weights, guards or the logits of a row are not finite.
    """
    last = history[-1] if history else {}
    wrong = not_finite(model.module.state_dict())
    wrong += [name for guard in model.guards for name in not_finite(guard.state)]
    if wrong:
        what = f"{len(wrong)} tensors are not finite after {len(history)} steps: {named(wrong)}"
        raise Diverged(last, history, what)
    row = next((item for item in items if model.accepts(item)), None)
    if row is None:
        return
    passes = model.forwards
    with model.measured(), torch.no_grad():
        logits = model.answers(model.batch([row])).logits
    model.forwards = passes  # a check is no cost of the method
    if not bool(torch.isfinite(logits).all()):
        raise Diverged(last, history, f"the logits are not finite after {len(history)} steps")


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

    def is_due(self, history: History) -> bool:
        """Whether it is time to measure, which is every few steps."""
        return len(history) % EVERY == 0

    def check(self, history: History) -> None:
        """Measures the loss on retain rows, after an update.

        Raises:
            Diverged: The loss is larger than it may be.
        """
        loss = self._loss()
        if not loss <= self._most:  # also when it is not a number
            raise Diverged(
                history[-1],
                history,
                f"the loss on retain rows is {loss:.3f} after {len(history)} steps; "
                f"`max_retain_rise` lets it be {self._most:.3f}",
                "lower the learning rate or the number of steps, or let it rise further",
            )

    def _loss(self) -> float:
        """The mean negative log-likelihood per answer token."""
        with self._model.measured():
            readings = self._model.score_items(self._items).values()
        return -float(
            np.concatenate([reading.log_probs for reading in readings]).mean(dtype=np.float64)
        )
