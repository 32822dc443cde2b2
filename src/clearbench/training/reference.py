"""The model before unlearning, in the cheapest form that is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from clearbench.data.batches import Answers, Batch, Item
from clearbench.errors import RecipeError
from clearbench.methods.base import NoReference, Reference
from clearbench.models.base import Model
from clearbench.training.feed import Feed

Form = Literal["stored log-probabilities", "adapter off", "second copy"]


def reference_form(needs: Sequence[str], lora_rank: int | None) -> Form | None:
    """How a run holds its reference; None where its method asks for none."""
    if "reference_log_probs" in needs:
        return "stored log-probabilities"
    if "reference" in needs:
        return "second copy" if lora_rank is None else "adapter off"
    return None


def make_reference(
    model: Model, needs: Sequence[str], feed: Feed, seed: int, steps: int
) -> Reference:
    """The reference a method needs, taken from `model` as it is now."""
    if "reference_log_probs" in needs:
        roles = [role for role in ("forget", "idk") if role in needs]
        drawn = (feed(seed, step) for step in range(steps))
        return StoredReference(
            model, [each for items in drawn for role in roles for each in items[role]]
        )
    return FrozenReference(model) if "reference" in needs else NoReference()


class StoredReference:
    """Log-probabilities of the whole answers that a run will see, read once before it begins."""

    def __init__(self, model: Model, items: Sequence[Item]) -> None:
        with _untouched(model):
            found = model.read_items(list(dict.fromkeys(items)))
        self._values = {each: float(reading.log_probs.sum()) for each, reading in found.items()}

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Refuses: only log-probabilities were kept."""
        raise RecipeError(
            "this run keeps the reference's log-probabilities, not its logits",
            "method",
            "declare `reference` in `needs`, not `reference_log_probs`",
        )

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """(rows,) log-probability of each whole answer."""
        items = [each for batch in batches for each in batch.items]
        return torch.tensor([self._values[each] for each in items], device=batches[0].places.device)


class FrozenReference:
    """The original: the same weights with adapters off, or a second copy without gradients."""

    def __init__(self, model: Model) -> None:
        self._shared = hasattr(model.module, "disable_adapter")
        self._model = model if self._shared else _frozen_copy(model)
        self._before = self._model.forwards

    @property
    def forwards(self) -> int:
        """Batches seen beside those that the trained model counts itself."""
        return 0 if self._shared else self._model.forwards - self._before

    @torch.no_grad()
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Logits of the original on the answer tokens."""
        if not self._shared:
            return self._model.answers(batches)
        with self._model.module.disable_adapter():
            return self._model.answers(batches)

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """(rows,) log-probability of each whole answer."""
        answers = self.answers(batches)
        return answers.per_row(answers.log_probs)


@contextmanager
def _untouched(model: Model) -> Iterator[None]:
    """In evaluation mode with adapters off."""
    was_training = model.module.training
    model.train(False)
    if hasattr(model.module, "disable_adapter"):
        with model.module.disable_adapter():
            yield
    else:
        yield
    model.train(was_training)


def _frozen_copy(model: Model) -> Model:
    frozen = model.duplicate()
    frozen.train_only(())
    frozen.train(False)
    return frozen
