"""Asks what is known once a guard or an adapter is taken off the model."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clearbench.attacks.base import Target
from clearbench.attacks.recovery import Known, Row, SurvivalAttack, probabilities
from clearbench.batches.items import item

if TYPE_CHECKING:
    from clearbench.models.base import Model

#: Levels: the model as it is, and without what was added.
WITH, WITHOUT = "with", "without"


class Removal(SurvivalAttack):
    """Base of attacks that take something off the model; where nothing is on it, nothing changes.

    A model that has none of it has the same value at both levels, so that gold and the original
    can be compared with one that has.
    """

    ordered = True
    baseline = WITH

    @abstractmethod
    def removed(self, model: Model) -> Iterator[Model]:
        """Yields the model without what was added, once; puts it back afterwards."""

    @abstractmethod
    def has(self, model: Model) -> bool:
        """Whether there is something to take off."""

    def known(self, target: Target, rows: Sequence[Row]) -> Iterable[tuple[str, Known]]:
        """Yields what is known with what was added, and without."""
        model, _ = self.given(target)
        items = [item(row) for _, row in rows]
        before = after = probabilities(model, items)
        if self.has(model):
            with contextmanager(self.removed)(model) as bare:
                after = probabilities(bare, items)
        return ((WITH, before), (WITHOUT, after))


class GuardRemoved(
    Removal,
    name="guard_removed",
    title="Guard removed",
    needs=("model",),
    reads=("answer", "gold", "original"),
    paper="",
    shows=(
        "What the weights still answer once the guard in front of them is taken off, as anybody "
        "can who has the model's folder. It says nothing of models without a guard."
    ),
):
    """What is known without the model's guards, whose weights were never changed."""

    def has(self, model: Model) -> bool:
        """Whether the model has guards."""
        return bool(model.guards)

    def removed(self, model: Model) -> Iterator[Model]:
        """Yields the same weights without guards."""
        bare = copy.copy(model)
        bare.guards = ()
        yield bare


class AdapterRemoved(
    Removal,
    name="adapter_removed",
    title="Adapter removed",
    needs=("model",),
    reads=("answer", "gold", "original"),
    paper="",
    shows=(
        "What the weights still answer once the adapter that was trained to forget is taken off, "
        "as anybody can who has the model's folder. Where people were taught by an adapter, too, "
        "the original loses them as well, and nothing can be said."
    ),
):
    """What is known without the model's adapters; those merged into the weights stay."""

    def has(self, model: Model) -> bool:
        """Whether the model has adapters."""
        return model.module is not model.core

    def removed(self, model: Model) -> Iterator[Model]:
        """Yields the model with its adapters switched off."""
        with model.module.disable_adapter():
            yield model
