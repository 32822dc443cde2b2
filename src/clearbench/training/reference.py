"""The model a loss looks back at, in the cheapest form that is exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.errors import RecipeError
from clearbench.methods.base import Method
from clearbench.methods.stages import ORIGINAL, Train
from clearbench.methods.step import NoReference, Reference
from clearbench.models.base import Model
from clearbench.training.feed import Feed

Form = Literal["stored log-probabilities", "adapter off", "copy of what learns"]


def reference_forms(chosen: Method, lora_rank: int | None) -> tuple[Form, ...]:
    """How a run holds what its stages look back at; empty where they do not."""
    trained = [each for each in chosen.stages() if isinstance(each, Train)]
    forms = [_form(stage, chosen.reads(stage), lora_rank) for stage in trained]
    return tuple(dict.fromkeys(form for form in forms if form))


def _form(stage: Train, needs: Sequence[str], lora_rank: int | None) -> Form | None:
    if "reference_log_probs" in needs:
        return "stored log-probabilities"
    if "reference" not in needs:
        return None
    under_adapter = lora_rank is not None and stage.reference == ORIGINAL
    return "adapter off" if under_adapter else "copy of what learns"


def make_reference(
    model: Model,
    needs: Sequence[str],
    feed: Feed,
    seed: int,
    steps: int,
    weights: Mapping[str, Tensor] | None = None,
) -> Reference:
    """The reference a stage needs.

    Args:
        model: As it is now.
        needs: Of the stage.
        feed: Which rows the stage will see, for log-probabilities that are read beforehand.
        seed: Of the feed.
        steps: Of the stage.
        weights: What the reference has in place of the model's own; None for the model before any
            adapter, which is the model as it is now where there is none.
    """
    frozen = FrozenReference(model, weights)
    if "reference_log_probs" in needs:
        roles = [role for role in ("forget", "idk", "random", "kept") if role in needs]
        drawn = (feed(seed, step) for step in range(steps))
        return StoredReference(
            frozen, [each for items in drawn for role in roles for each in items[role]]
        )
    return frozen.keep() if "reference" in needs else NoReference()


class FrozenReference:
    """The trained module itself with adapters off, or with other weights put in their place.

    Only weights that learn need a copy; all others are shared.
    """

    def __init__(self, model: Model, weights: Mapping[str, Tensor] | None = None) -> None:
        self._model = model
        self._weights = weights

    def keep(self) -> FrozenReference:
        """Copies what would change under it."""
        if self._weights is None and not hasattr(self._model.module, "disable_adapter"):
            self._weights = {n: p.detach().clone() for n, p in self._model.trainable().items()}
        return self

    @torch.no_grad()
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Its logits on the answer tokens."""
        with self.entered() as model:
            return model.answers(batches)

    @torch.no_grad()
    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """(tokens, width) its hidden states after `layer`."""
        with self.entered() as model:
            return model.states(batches, layer)

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """(rows,) log-probability of each whole answer."""
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
    """Log-probabilities of the whole answers that a run will see, read once before it begins."""

    def __init__(self, reference: FrozenReference, items: Sequence[Item]) -> None:
        with reference.entered() as model:
            found = model.score_items(list(dict.fromkeys(items)))
        self._values = {each: float(reading.log_probs.sum()) for each, reading in found.items()}

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Refuses: only log-probabilities were kept."""
        raise self._gone()

    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """Refuses: only log-probabilities were kept."""
        raise self._gone()

    def sequence_log_probs(self, batches: Sequence[Batch]) -> Tensor:
        """(rows,) log-probability of each whole answer."""
        items = [each for batch in batches for each in batch.items]
        return torch.tensor([self._values[each] for each in items], device=batches[0].places.device)

    @staticmethod
    def _gone() -> RecipeError:
        return RecipeError(
            "this run keeps the reference's log-probabilities, not its logits",
            "method",
            "declare `reference` in `needs`, not `reference_log_probs`",
        )
