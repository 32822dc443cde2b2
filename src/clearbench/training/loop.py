"""Trains a model on one stage's loss: fine-tuning and every gradient method run through here.

Whatever is random in a step is a function of (seed, step), so a run that was killed and resumed
gives the same bytes. Each term is divided by its global sum of weights over micro-batches and
processes, so neither changes what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clearbench.devices import to_own_device
from clearbench.methods.losses import Term, checked_terms
from clearbench.methods.rules import RULES, TensorRule, rectification, uniformly
from clearbench.methods.stages import Train, snapshot
from clearbench.methods.step import NoReference, Reference, State, Step
from clearbench.models.base import Model
from clearbench.processes import whole
from clearbench.training.adamw_8bit import make_optimizer
from clearbench.training.autocast import Autocast
from clearbench.training.average import RetainAverage
from clearbench.training.checkpoint import (
    Clock,
    History,
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from clearbench.training.feed import Feed
from clearbench.training.goal import Goal
from clearbench.training.gradients import PENALTY, MicroBatch, gradients, one_gradient
from clearbench.training.masks import Masks
from clearbench.training.master_weights import MasterWeights
from clearbench.training.micro_batches import LargestMicroBatch, MicroBatches
from clearbench.training.penalty import PenaltyTerm
from clearbench.training.readings import Parts, Readings, StepValues
from clearbench.training.recompute import recomputed
from clearbench.training.settings import TrainSettings
from clearbench.training.shares import Drawn, Part, cut_micro_batches, split_by_modality
from clearbench.training.watch import Watch

#: Called after each step with (steps done, steps in all, the step's values, which are read from the
#: device when they are looked at). The values that it returns are added to the step's history, also
#: over a kill.
OnStep = Callable[[int, int, Mapping[str, float]], Mapping[str, float] | None]


@dataclass(frozen=True)
class StageContext:
    """Everything `train` needs besides rows and settings.

    Attributes:
        reference: Frozen model that the loss is compared with.
        untrained: Frozen model with random weights.
        prepare: Function that makes the method's state; called where no checkpoint holds it.
        after_step: Function of a method's state and a step's values, as `Method.after_step`.
        goal: Criterion that ends the stage once enough is forgotten.
        watch: Criterion that ends it as diverged when too much is lost.
    """

    reference: Reference = field(default_factory=NoReference)
    untrained: Reference = field(default_factory=NoReference)
    prepare: Callable[[], State] = dict
    after_step: Callable[[State, Mapping[str, float]], State] = lambda state, _: state
    goal: Goal | None = None
    watch: Watch | None = None


def train(
    model: Model,
    stage: Train,
    feed: Feed,
    settings: TrainSettings,
    seed: int,
    context: StageContext = StageContext(),
    *,
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> tuple[History, State]:
    """Trains `model` in place.

    Args:
        model: Model whose parameters with `requires_grad` are trained.
        stage: Loss, roles that it reads (`retain` where the stage names none) and gradient rule.
        feed: Function from (seed, step) to the items of a step.
        settings: Schedule and optimiser.
        seed: Seed of everything random.
        context: References, state and early stopping.
        checkpoints: Folder of the saved state of a long run.
        on_step: Function called after each step.

    Returns:
        Per step: each term's value, `loss`, `gradient_norm` and what `on_step` returned; and the
        method's last state.

    Raises:
        Diverged: A loss or gradient is not finite, or the watch ends the stage.
    """
    to_own_device(model.module)
    updates = Updates(model, stage, settings, context)
    progress = updates.begin(checkpoints)
    history = progress.history
    model.train(True)
    with recomputed(model) if settings.gradient_checkpointing else nullcontext():
        updates.measure(feed(seed, 0))
        _make_updates(updates, feed, seed, checkpoints, on_step)
    model.train(False)
    return history, progress.state


def _make_updates(
    updates: Updates, feed: Feed, seed: int, checkpoints: Path | None, on_step: OnStep | None
) -> None:
    """Makes all updates that are left, with checkpoints."""
    settings, context, progress = updates.settings, updates.context, updates.progress
    history, clock = progress.history, Clock(settings.checkpoint_seconds)
    for step in range(len(history), settings.steps):
        torch.manual_seed(seed * 1_000_003 + step)
        remaining = updates.remaining(step, feed(seed, step))
        if remaining is None:
            break
        values = updates.update(step, *remaining)
        if on_step is not None:
            history[-1].update(on_step(step + 1, settings.steps, values) or {})
        if context.watch is not None and context.watch.is_due(history):
            updates.readings.read()
            context.watch.check(history)
        if checkpoints and step + 1 < settings.steps and clock.is_due():
            updates.readings.read()
            save_checkpoint(checkpoints, updates.masters, updates.optimizer, progress)
            clock.restart()
    updates.readings.read()


class Updates:
    """Makes the updates of one stage and keeps its progress."""

    def __init__(
        self, model: Model, stage: Train, settings: TrainSettings, context: StageContext
    ) -> None:
        self.model, self.settings, self.context = model, settings, context
        self.stage = replace(stage, rule=stage.rule or RULES.get(settings.rule or ""))
        self.parameters = list(model.trainable().values())
        self.masters = MasterWeights(model.trainable())
        self.autocast = Autocast(model) if settings.precision == "bfloat16" else None
        casts = self.autocast.casts if self.autocast else ()
        self.micro_batches = MicroBatches(model, settings, casts)
        self.optimizer = make_optimizer(settings, list(self.masters.by_name.values()))
        # made before a checkpoint is restored: it measures the change since the stage began
        self.penalty = PenaltyTerm(settings.penalty, model) if settings.penalty else None

        share = settings.retain_average if self.stage.rule is rectification else None
        self.average = RetainAverage(share, list(model.trainable())) if share else None

    def begin(self, checkpoints: Path | None) -> Progress:
        """Restores the newest checkpoint, or prepares the method's state where there is none."""
        restored = (
            load_checkpoint(checkpoints, self.masters, self.optimizer) if checkpoints else None
        )
        self.progress = restored or Progress(self.context.prepare())
        device = self.model.device
        self.progress.state = {
            name: value.detach().to(device) for name, value in self.progress.state.items()
        }
        self.masks = Masks(self.model, self.progress.state)
        self.readings = Readings(self.progress.history, device, sharded=self.model.is_sharded)
        if self.average and restored:
            self.average.restore(self.progress.state)
        return self.progress

    def measure(self, drawn: Drawn) -> None:
        """Measures the memory of a step's rows, by which steps are cut into micro-batches."""
        view, parts = self._view(0), self._parts(self.stage, drawn)
        stage = replace(self.stage, loss=self.stage.probe or self.stage.loss)
        self.micro_batches.measure(
            parts, stage.roles, lambda rows: self._micro_batch(view, stage, rows)
        )

    def kept(self, drawn: Drawn) -> LargestMicroBatch:
        """Counts what the largest micro-batch of a step keeps for its gradient."""
        parts, roles = self._parts(self.stage, drawn), self.stage.roles
        count = self.micro_batches.count(parts, roles)
        rule = _tensor_rule(self.stage, self.progress.state)
        view = replace(self._view(0), together=one_gradient(count, rule))
        stage = replace(self.stage, loss=self.stage.probe or self.stage.loss)
        return self.micro_batches.largest(
            parts, roles, count, lambda rows: self._micro_batch(view, stage, rows)
        )

    def remaining(self, step: int, drawn: Drawn) -> tuple[Train, Drawn] | None:
        """Selects what a step still trains on once tracks are forgotten; None ends the stage."""
        goal, reached = self.context.goal, self.progress.reached
        if goal is None:
            return self.stage, drawn
        goal.note_reached(step, reached)
        return None if goal.is_over(step, reached) else goal.narrow(self.stage, drawn, reached)

    def update(self, step: int, stage: Train, drawn: Drawn) -> StepValues:
        """Makes one update and adds its values to the history: terms, `loss`, `gradient_norm`."""
        rule = _tensor_rule(stage, self.progress.state)
        view = self._view(step)
        if stage.probe is not None:
            probe = replace(stage, loss=stage.probe)
            view = replace(view, gradient=self._probed(probe, view, drawn))
        parts = self._gradients(view, stage, drawn, rule)
        values = self._optimize(parts)
        self.masks.after_update()
        if stage is self.stage:
            self.progress.state = self._next_state(step, values)
            self.progress.state |= self.average.state if self.average else {}
        return values

    def _gradients(
        self, view: Step, stage: Train, drawn: Drawn, rule: TensorRule | None = None
    ) -> Parts:
        """Computes a step's gradient into `.grad`; in smaller micro-batches where memory is short.

        Returns:
            Parts of each term's value.
        """
        parts, roles, probes = self._parts(stage, drawn), stage.roles, stage.loss is stage.probe
        count = self.micro_batches.count(parts, roles)
        while True:
            seen = replace(view, together=one_gradient(count, rule))
            cut = [
                self._micro_batch(seen, stage, rows, penalised=not probes)
                for rows in cut_micro_batches(parts, count)
            ]
            try:
                values, passes = gradients(
                    self.parameters, cut, rule, None if probes else self.average
                )
                break
            except torch.OutOfMemoryError:
                more = self.micro_batches.more(count, parts, roles)
                if more is None:
                    raise
            count = more  # outside, where the error holds no tensors any more
            self._begin_again()
        self.model.backwards += passes
        self.masks.on_gradients()
        return values

    def _begin_again(self) -> None:
        """Forgets what a step has computed so far."""
        self.optimizer.zero_grad(set_to_none=True)
        for weight in self.parameters:
            weight.grad = None
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        torch.manual_seed(torch.initial_seed())

    def _view(self, step: int) -> Step:
        """A step without its batches."""
        return Step(
            self.model,
            self.context.reference,
            {},
            self.progress.state,
            self.context.untrained,
            number=step,
            steps=self.settings.steps,
        )

    def _parts(self, stage: Train, drawn: Drawn) -> list[Part]:
        """The step's rows, by modality where the stage leaves their weights to the settings."""
        if not stage.by_modality:
            return [Part(1.0, drawn)]
        weights = self.settings.modality_weights.by_name
        return split_by_modality(drawn, stage.roles, weights)

    def _probed(self, probe: Train, view: Step, drawn: Drawn) -> dict[str, Tensor]:
        """The gradient of a probe over the step's items, 0 where a mask lets nothing learn."""
        self._gradients(view, probe, drawn)
        found = {
            name: torch.zeros_like(weight) if weight.grad is None else weight.grad.detach()
            for name, weight in self.model.trainable().items()
        }
        self.optimizer.zero_grad(set_to_none=True)
        return found

    def _micro_batch(
        self, view: Step, stage: Train, parts: Sequence[Part], *, penalised: bool = True
    ) -> MicroBatch:
        """The losses of some of the step's rows, computed when called."""

        def loss(items: Drawn) -> Mapping[str, Term]:
            chosen = {role: items[role] for role in stage.roles if items.get(role)}
            batches = {role: self.model.batch(rows) for role, rows in chosen.items()}
            with self._computing():
                return checked_terms(stage.loss(replace(view, batches=batches)))

        def run() -> list[tuple[float, Mapping[str, Term]]]:
            terms = [(part.share, loss(part.drawn)) for part in parts]
            if self.penalty and penalised:
                terms.append((1.0, {PENALTY: self.penalty()}))
            return terms

        return run

    def _computing(self) -> AbstractContextManager[Any]:
        """What the losses are computed under."""
        return nullcontext() if self.autocast is None else self.autocast.computing()

    def _optimize(self, parts: Parts) -> StepValues:
        """Moves the parameters along `.grad`, unless it or a term is not finite."""
        norm = whole(nn.utils.clip_grad_norm_(self.parameters, self.settings.clip))
        history = self.progress.history
        values = self.readings.add(parts, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(len(history))
        if self.readings.broken is not None:
            self.optimizer.found_inf = self.readings.broken  # type: ignore[attr-defined]  # of AMP
        history.append(values.written)
        self.masters.take_gradients()
        self.masters.follow()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.masters.put_back()
        return values

    def _next_state(self, step: int, values: Mapping[str, float]) -> State:
        """The method's state after a step, with a copy of the weights where the stage keeps one."""
        state = self.context.after_step(self.progress.state, values)
        if not self.stage.snapshots:
            return state
        weights = self.model.trainable()
        return state | snapshot(step + 1, self.settings.steps, self.stage, weights)


def _tensor_rule(stage: Train, state: State) -> TensorRule | None:
    """The rule that mixes a step's gradients, tensor by tensor."""
    if stage.tensor_rule is not None:
        mix = stage.tensor_rule
        return lambda grams, names: mix(grams, names, state)
    return None if stage.rule is None else uniformly(stage.rule)
