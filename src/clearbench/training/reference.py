"""The model before unlearning, in the cheapest form that is exact."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from clearbench.data.batches import Answers, Batch
from clearbench.models.base import Model


class FrozenReference:
    """The original: the same weights with adapters off, or a second copy without gradients."""

    def __init__(self, model: Model) -> None:
        self._switch = getattr(model.module, "disable_adapter", None)
        self._model = model if self._switch else _frozen_copy(model)
        self._before = self._model.forwards

    @property
    def forwards(self) -> int:
        """Batches seen beside those that the trained model counts itself."""
        return 0 if self._switch else self._model.forwards - self._before

    @torch.no_grad()
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Logits of the original on the answer tokens."""
        with self._off():
            return self._model.answers(batches)

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """(rows,) log-probability of each whole answer."""
        answers = self.answers(batches)
        return answers.per_row(answers.log_probs)

    def _off(self) -> AbstractContextManager[None]:
        return self._switch() if self._switch else nullcontext()


def reference_form(lora_rank: int | None) -> str:
    """How a run holds its reference, for the results."""
    return "second copy" if lora_rank is None else "adapter off"


def _frozen_copy(model: Model) -> Model:
    frozen = model.duplicate()
    frozen.train_only(())
    frozen.train(False)
    return frozen
