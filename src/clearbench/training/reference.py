"""Makes the frozen model that a loss is compared with, in the cheapest form that is exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.methods.base import Method
from clearbench.methods.stages import ORIGINAL, Train
from clearbench.methods.step import NoReference, Reference
from clearbench.models.base import Model
from clearbench.training.feed import Feed

Form = Literal["stored log-probabilities", "adapter off", "copy of what learns"]


def reference_forms(chosen: Method, lora_rank: int | None) -> tuple[Form, ...]:
    """The forms in which a run keeps the references of its stages; empty where it has none."""
    trained = [stage for stage in chosen.stages() if isinstance(stage, Train)]
    forms = [form for s in trained for form in _forms(s, chosen.reads(s), lora_rank)]
    return tuple(dict.fromkeys(forms))


def _forms(stage: Train, needs: Sequence[str], lora_rank: int | None) -> Iterator[Form]:
    if "reference_log_probs" in needs:
        yield "stored log-probabilities"
    if "reference" in needs:
        under_adapter = lora_rank is not None and stage.reference == ORIGINAL
        yield "adapter off" if under_adapter else "copy of what learns"


def make_reference(
    model: Model,
    needs: Sequence[str],
    feed: Feed,
    seed: int,
    steps: int,
    weights: Mapping[str, Tensor] | None = None,
) -> Reference:
    """Makes the reference that a stage needs.

    Args:
        model: Model before the stage.
        needs: Roles and references that the stage reads.
        feed: Rows of the stage, for log-probabilities that are computed beforehand.
        seed: Seed of the feed.
        steps: Number of the stage's steps.
        weights: Weights of the reference in place of the model's own; None for the model before any
            adapter, which is the model as it is where there is none.
    """
    frozen = FrozenReference(model, weights)
    whole = frozen.keep() if "reference" in needs else NoReference()
    if "reference_log_probs" not in needs:
        return whole
    roles = [role for role in ("forget", "idk", "random", "alternate", "kept") if role in needs]
    drawn = (feed(seed, step) for step in range(steps))
    rows = [row for items in drawn for role in roles for row in items[role]]
    return StoredReference(frozen, rows, whole)


class FrozenReference:
    """Computes with the trained module itself, its adapters off or other weights in their place.

    Only weights that are trained need a copy; all others are shared.
    """

    def __init__(self, model: Model, weights: Mapping[str, Tensor] | None = None) -> None:
        self._model = model
        self._weights = weights

    def keep(self) -> FrozenReference:
        """Copies the weights that training would change."""
        if self._weights is None and not hasattr(self._model.module, "disable_adapter"):
            self._weights = {n: p.detach().clone() for n, p in self._model.trainable().items()}
        return self

    @torch.no_grad()
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """The logits on the answer tokens."""
        with self.entered() as model:
            return model.answers(batches)

    @torch.no_grad()
    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """The (tokens, width) hidden states after `layer`."""
        with self.entered() as model:
            return model.states(batches, layer)

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """The (rows,) log-probabilities of whole answers."""
        answers = self.answers(batches)
        return answers.per_row(answers.log_probs)

    @contextmanager
    def entered(self) -> Iterator[Model]:
        """The model as the reference, in evaluation mode."""
        model = self._model
        without_adapter = getattr(model.module, "disable_adapter", nullcontext)
        held = self._weights
        with model.measured(), without_adapter() if held is None else model.holding(held):
            yield model


class StoredReference:
    """Keeps the log-probabilities of a stage's whole answers, computed once before it begins.

    Args:
        reference: Frozen model that computes them.
        items: Answers of the stage.
        whole: Reference of everything else, where a loss declares `reference` as well.
    """

    def __init__(self, reference: FrozenReference, items: Sequence[Item], whole: Reference) -> None:
        self._whole = whole
        with reference.entered() as model:
            readings = model.score_items(list(dict.fromkeys(items)))
        self._values = {row: float(reading.log_probs.sum()) for row, reading in readings.items()}

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """The logits on the answer tokens."""
        return self._whole.answers(batches)

    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """The (tokens, width) hidden states after `layer`."""
        return self._whole.states(batches, layer)

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """The (rows,) log-probabilities of whole answers."""
        items = [row for batch in batches for row in batch.items]
        return torch.tensor([self._values[row] for row in items], device=batches[0].places.device)
