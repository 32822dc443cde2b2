"""Runs one method on a tiny model, or computes its terms without the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from clearbench.batches.items import Item, Kind, item
from clearbench.data.dataset import Dataset
from clearbench.data.modality import readable_by
from clearbench.methods.base import Method, Step, Train
from clearbench.methods.losses import Term
from clearbench.methods.step import ROLES, Batches, NoReference
from clearbench.models.base import Model
from clearbench.testing.world import base, copied, few_steps, taught, tiny_dataset
from clearbench.training.checkpoint import History
from clearbench.training.reference import FrozenReference
from clearbench.training.roles import DERIVED, Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

#: Rows of each role in a check.
COUNT = 6


@dataclass(frozen=True)
class Bench:
    """One method on one kind of tiny model."""

    cls: type[Method]
    kind: Kind

    @property
    def chosen(self) -> Method:
        """Method with its defaults, or with its values for trials this small."""
        return self.cls(**self.cls.trial)

    @property
    def data(self) -> Dataset:
        """Rows of the tiny people; for a classifier, their images and names."""
        return tiny_dataset() if self.kind != "classifier" else tiny_dataset().naming()

    @property
    def tracks(self) -> tuple[str, ...]:
        """Tracks of forget rows that the method can forget and the model can read."""
        allowed = readable_by(self.kind)
        if "both" in self.cls.modalities:
            return allowed
        return tuple(track for track in allowed if track in self.cls.modalities) or allowed

    def model(self) -> Model:
        """Copies the model to start from: the taught one, or the base for a `from_base` method."""
        return copied(base(self.kind) if self.cls.from_base else taught(self.kind))

    def settings(self, **changes: Any) -> TrainSettings:
        """Makes settings of three steps, with changes."""
        return few_steps(self.kind, **changes)

    def run(self, model: Model, chosen: Method | None = None, **changes: Any) -> History:
        """Runs the method on a model by `unlearn`."""
        checkpoints, on_step = changes.pop("checkpoints", None), changes.pop("on_step", None)
        return unlearn(
            model, self.data, chosen or self.chosen, self.tracks, self.settings(**changes),
            checkpoints=checkpoints, on_step=on_step,
        )  # fmt: skip

    @cached_property
    def trained(self) -> tuple[Model, History]:
        """Model after a whole run, and the losses of its steps; made once, so not to be changed."""
        model = self.model()
        return model, self.run(model)

    @cached_property
    def after_one_step(self) -> dict[int | None, tuple[Model, History]]:
        """Models after one step, with LoRA of a rank or without, and its losses; made once."""
        ranks = (None, 2) if self.takes_lora else (None,)
        models = {rank: self.model() for rank in ranks}
        return {rank: (m, self.run(m, steps=1, lora_rank=rank)) for rank, m in models.items()}

    def items(self, model: Model) -> dict[str, list[Item]]:
        """Selects a few rows of every role that the method needs, of several lengths."""
        roles = [role for role in ROLES if role in self.cls.needs]
        rows = self.rows(model)
        forget = rows.items("forget")[:COUNT]
        made = Roles(model, self.data)
        items = {
            role: made.of(role, forget, 0, 0) if role in DERIVED else rows.items(role)[:COUNT]
            for role in roles
        }
        return {role: chosen for role, chosen in items.items() if chosen or role != "spared"}

    def rows(self, model: Model) -> TrainingRows:
        """Returns all training rows, as `prepare` and edits read them."""
        return TrainingRows(model, self.data, self.tracks, 4, 0)

    @property
    def trains(self) -> list[Train]:
        """Stages that train; none for an edit or a guard."""
        return [stage for stage in self.chosen.stages() if isinstance(stage, Train)]

    @property
    def takes_lora(self) -> bool:
        """Whether the method begins with training of the model, so that adapters can be used."""
        begins = isinstance(self.chosen.stages()[0], Train)
        return begins and self.cls.artefact == "weights"

    def step(self, model: Model, items: Mapping[str, list[Item]], number: int = 2) -> Step:
        """Makes one step of three on given items, with the taught model as reference."""
        original = taught(self.kind)
        needs = self.cls.needs
        untrained = model.untrained(0) if "untrained" in needs else None
        step = Step(
            model,
            FrozenReference(original),
            _batched(model, items),
            self.chosen.prepare(model, self.rows(model), 0),
            NoReference() if untrained is None else FrozenReference(untrained),
            number=number,
            steps=3,
        )
        return replace(step, gradient=self._gradient(model, step))

    def _gradient(self, model: Model, step: Step) -> dict[str, Tensor]:
        """Computes the gradient of the first stage's probe over `items`, whatever the step has."""
        probe = self.trains[0].probe if self.trains else None
        if probe is None:
            return {}
        weights = model.trainable()
        terms = probe(replace(step, batches=_batched(model, self.items(model))))
        loss = torch.stack([term.mean for term in terms.values()]).sum()
        parts = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        return dict(zip(weights, parts, strict=True))

    def terms(
        self, model: Model, items: Mapping[str, list[Item]], chosen: Method | None = None
    ) -> dict[str, Term]:
        """Computes the terms of the first stage that trains, without the loop."""
        stages = (chosen or self.chosen).stages()
        first = next(stage for stage in stages if isinstance(stage, Train))
        return first.loss(self.step(model, items))

    def forget_loss(self, model: Model) -> float:
        """Computes the mean negative log-likelihood of the answers on every forget row."""
        rows = [item(row) for row in self.data.train_rows("forget", self.tracks)]
        with torch.no_grad():
            answers = model.answers(model.batch([row for row in rows if model.accepts(row)]))
        return -float(answers.log_probs.mean().detach())


def _batched(model: Model, items: Mapping[str, list[Item]]) -> dict[str, Batches]:
    """Makes the batches of each role."""
    return {role: model.batch(chosen) for role, chosen in items.items()}
