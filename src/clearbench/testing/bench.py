"""Runs one method on a tiny model, or computes its terms without the loop."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from clearbench.batches.items import Item, item
from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.modality import readable_by
from clearbench.methods.base import Method, Step, Train
from clearbench.methods.losses import Term
from clearbench.methods.step import ROLES, Batches, NoReference
from clearbench.models.base import Model
from clearbench.testing.by_hand import snapshot
from clearbench.testing.world import PARTS, base, copied, few_steps, taught, tiny_dataset
from clearbench.training.checkpoint import History
from clearbench.training.reference import FrozenReference
from clearbench.training.roles import DERIVED, Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

#: Rows of each role in a check.
COUNT = 6
#: Steps of three after which a run is stopped, and compared with one that is not.
HALFWAY = 2


@dataclass(frozen=True)
class Run:
    """A run that several checks read, so not to be changed.

    Attributes:
        model: Model after the run.
        history: Values of its steps.
        halfway: Weights after `HALFWAY` steps; those at the end of a run without as many.
        gradient: Gradient that the first step moved the weights along; none for an edit.
    """

    model: Model
    history: History
    halfway: Mapping[str, Tensor]
    gradient: Tensor


class StopError(Exception):
    """Error raised in place of a kill."""


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
    def untouched(self) -> Model:
        """Model to start from, with its usual parts to be trained; not to be changed."""
        model = self.model()
        model.train_only(PARTS[self.kind])
        return model

    @cached_property
    def first_step(self) -> Step:
        """Step of the untouched model on a few rows of every role."""
        return self.step(self.untouched, self.items(self.untouched))

    @cached_property
    def trained(self) -> Run:
        """Whole run, made once."""
        return self._noted()

    @cached_property
    def stopped(self) -> Run:
        """Run that is stopped halfway, with checkpoints in `folder`; made once."""
        return self._noted(stops=True, checkpoints=self.folder, checkpoint_seconds=1e-9)

    @cached_property
    def folder(self) -> Path:
        """Folder of the checkpoints, which is removed with the bench."""
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    @cached_property
    def after_one_step(self) -> dict[int | None, Run]:
        """Runs of one step, with LoRA of a rank or without; made once."""
        ranks = (None, 2) if self.takes_lora else (None,)
        return {rank: self.one_step(lora_rank=rank) for rank in ranks}

    def one_step(self, **changes: Any) -> Run:
        """Makes a run of one step, whose gradient is not clipped."""
        return self._noted(steps=1, clip=1e9, **changes)

    def _noted(self, *, stops: bool = False, **changes: Any) -> Run:
        """Makes a run of a new model; it may be stopped halfway."""
        model = self.model()
        history: History = []
        halfway: dict[str, Tensor] = {}

        def note(done: int, _: int, values: dict[str, float]) -> None:
            if done == HALFWAY:
                halfway.update(snapshot(model))
            if stops:
                history.append(dict(values))
                if done == HALFWAY:
                    raise StopError

        with _gradients_kept() as gradients, suppress(StopError):
            history = self.run(model, on_step=note, **changes)
        gradient = gradients[0] if gradients else torch.empty(0)
        return Run(model, history, halfway or snapshot(model), gradient)

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

    def first_step_on(self, items: Mapping[str, list[Item]]) -> Step:
        """Puts other rows into the first step."""
        return replace(self.first_step, batches=_batched(self.untouched, items))

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
        return self.terms_of(self.step(model, items), chosen)

    def terms_of(self, step: Step, chosen: Method | None = None) -> dict[str, Term]:
        """Computes the terms of the first stage that trains on a step."""
        stages = (chosen or self.chosen).stages()
        return next(stage for stage in stages if isinstance(stage, Train)).loss(step)

    def forget_loss(self, model: Model) -> float:
        """Computes the mean negative log-likelihood of the answers on every forget row."""
        rows = [item(row) for row in self.data.train_rows("forget", self.tracks)]
        with torch.no_grad():
            answers = model.answers(model.batch([row for row in rows if model.accepts(row)]))
        return -float(answers.log_probs.mean().detach())


def _batched(model: Model, items: Mapping[str, list[Item]]) -> dict[str, Batches]:
    """Makes the batches of each role."""
    return {role: model.batch(chosen) for role, chosen in items.items()}


@contextmanager
def _gradients_kept() -> Iterator[list[Tensor]]:
    """Keeps the gradients that an optimiser uses while entered: only those of its first step."""
    kept: list[Tensor] = []

    def keep(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if kept:
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        gradients = [weight.grad.flatten() for weight in weights if weight.grad is not None]
        kept.append(torch.cat([torch.empty(0), *gradients]))

    handle = register_optimizer_step_pre_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()
