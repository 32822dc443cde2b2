"""The one loop: fine-tuning and every gradient method run through it.

Whatever is random in a step is a function of (seed, step), so a run that was killed and resumed
gives the same bytes. Each term is divided by its global sum of weights over micro-batches and
processes, so neither changes what is computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from accelerate import PartialState
from torch import nn

from clearbench.batches.items import Item
from clearbench.methods.losses import Term
from clearbench.methods.rules import RULES, TensorRule, uniformly
from clearbench.methods.stages import Train, snapshot
from clearbench.methods.step import NoReference, Reference, State, Step
from clearbench.models.base import Model
from clearbench.processes import processes, whole
from clearbench.training.checkpoint import History, Progress, load_checkpoint, save_checkpoint
from clearbench.training.feed import Feed
from clearbench.training.goal import Goal
from clearbench.training.gradients import PENALTY, MicroBatch, gradients, one_gradient
from clearbench.training.masks import Masks
from clearbench.training.settings import Penalty, TrainSettings
from clearbench.training.watch import Diverged, Watch

#: Called after each step with (steps done, steps in all, the step's losses); values that it returns
#: are kept with the losses, also over a kill.
OnStep = Callable[[int, int, Mapping[str, float]], Mapping[str, float] | None]


@dataclass(frozen=True)
class StageContext:
    """What a stage knows beside its rows.

    Attributes:
        reference: The frozen model its loss looks back at.
        untrained: A model with random weights.
        prepare: Makes the method's state; called where no checkpoint holds it.
        after_step: As `Method.after_step`.
        goal: Ends the stage once enough is forgotten.
        watch: Ends it as diverged when too much is lost.
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
    memory: StageContext = StageContext(),
    *,
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> tuple[History, State]:
    """Trains `model` in place.

    Args:
        model: Its parameters with `requires_grad` learn.
        stage: Its loss, what the loss needs (`retain` where the stage does not say), its rule.
        feed: Which items each step sees.
        settings: The schedule.
        seed: Of everything random.
        memory: The references, the method's state, what ends the stage early.
        checkpoints: Where to save the state of a long run, and to look for one.
        on_step: Told about each step.

    Returns:
        Per step: each term's value, `loss`, `gradient_norm`; and the method's last state.

    Raises:
        Diverged: At the first loss or gradient that is not finite, or when the watch says so.
    """
    shared = processes()
    model.module.to(shared.device)
    parameters = list(model.trainable().values())
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    penalty = _PenaltyTerm(settings.penalty, model) if settings.penalty else None
    stage = replace(stage, rule=stage.rule or RULES.get(settings.rule or ""))
    found = load_checkpoint(checkpoints, model, optimizer) if checkpoints else None
    progress = found or Progress(memory.prepare())
    progress.state = {n: value.detach().to(model.device) for n, value in progress.state.items()}
    masks = Masks(model, progress.state)
    model.train(True)
    saved = time.monotonic()
    for step in range(len(progress.history), settings.steps):
        torch.manual_seed(seed * 1_000_003 + step)
        wanted = _narrowed(stage, feed(seed, step), memory.goal, step, progress)
        if wanted is None:
            break
        asked, drawn = wanted
        rule = _rule(asked, progress.state)
        view = Step(
            model, memory.reference, {}, progress.state, memory.untrained,
            number=step, steps=settings.steps, together=one_gradient(settings.accumulate, rule),
        )  # fmt: skip
        micro_batches = [
            _micro_batch(view, asked, part, penalty, settings.precision)
            for part in _shares(drawn, settings.accumulate, shared)
        ]
        values, passes = gradients(parameters, micro_batches, rule)
        model.backwards += passes
        masks.on_gradients()
        total = _update(progress.history, values, parameters, optimizer, settings)
        masks.after_update()
        if asked is stage:
            progress.state = memory.after_step(progress.state, values)
            if stage.snapshots:
                kept = snapshot(step + 1, settings.steps, stage, model.trainable())
                progress.state = progress.state | kept
        progress.history.append(values | total)
        if on_step is not None:
            more = on_step(step + 1, settings.steps, progress.history[-1])
            progress.history[-1] |= more or {}
        if memory.watch is not None:
            memory.watch.look(progress.history)
        due = time.monotonic() - saved > settings.checkpoint_seconds
        if checkpoints and due and step + 1 < settings.steps:
            save_checkpoint(checkpoints, model, optimizer, progress)
            saved = time.monotonic()
    model.train(False)
    return progress.history, progress.state


def _narrowed(
    stage: Train,
    drawn: Mapping[str, list[Item]],
    goal: Goal | None,
    step: int,
    progress: Progress,
) -> tuple[Train, Mapping[str, list[Item]]] | None:
    """What is left to do of a step: less for tracks that are forgotten, None for all of them."""
    if goal is None:
        return stage, drawn
    goal.look(step, progress.reached)
    return (
        None
        if goal.is_over(step, progress.reached)
        else goal.narrow(stage, drawn, progress.reached)
    )


def _rule(stage: Train, state: State) -> TensorRule | None:
    """What mixes a step's gradients."""
    if stage.tensor_rule is not None:
        mix = stage.tensor_rule
        return lambda grams, names: mix(grams, names, state)
    return None if stage.rule is None else uniformly(stage.rule)


def _update(
    history: History,
    terms: Mapping[str, float],
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
) -> dict[str, float]:
    """Moves the parameters along `.grad`; returns the step's `loss` and `gradient_norm`."""
    norm = float(whole(nn.utils.clip_grad_norm_(parameters, settings.clip)))
    found = {"loss": sum(terms.values()), "gradient_norm": norm}
    values = {**terms, **found}
    if not all(math.isfinite(value) for value in values.values()):
        raise Diverged(values, history)
    for group in optimizer.param_groups:
        group["lr"] = settings.rate(len(history))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return found


def _shares(
    drawn: Mapping[str, list[Item]], accumulate: int, shared: PartialState
) -> list[dict[str, list[Item]]]:
    """This process's micro-batches of a step."""
    parts = accumulate * shared.num_processes
    first = shared.process_index * accumulate
    return [
        {role: items[first + k :: parts] for role, items in drawn.items()}
        for k in range(accumulate)
    ]


def _micro_batch(
    view: Step,
    stage: Train,
    items: Mapping[str, list[Item]],
    penalty: _PenaltyTerm | None,
    precision: str,
) -> MicroBatch:
    """The loss of a part of the step's items."""
    roles = ("retain",) if stage.needs is None else stage.needs

    def run() -> dict[str, Term]:
        model: Model = view.model  # type: ignore[assignment]  # ours is wider than a method's
        batches = {role: model.batch(items[role]) for role in roles if items.get(role)}
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            terms = stage.loss(replace(view, batches=batches))
        return terms | ({PENALTY: penalty()} if penalty else {})

    return run


class _PenaltyTerm:
    """The L1 penalty on what the settings name."""

    def __init__(self, settings: Penalty, model: Model) -> None:
        self.settings = settings
        chosen = model.trainable()
        if settings.on == "adapter":
            chosen = {n: p for n, p in chosen.items() if "lora_" in n}
        self.weights = list(chosen.values())
        self.start = [
            weight.detach().clone() if settings.on == "delta" else None for weight in self.weights
        ]

    def __call__(self) -> Term:
        sizes = [
            (weight if start is None else weight - start).abs().sum()
            for weight, start in zip(self.weights, self.start, strict=True)
        ]
        total = torch.stack(sizes).sum() if sizes else torch.zeros(())
        if self.settings.reduce == "mean":
            total = total / max(1, sum(weight.numel() for weight in self.weights))
        value = (self.settings.strength * total).reshape(1)
        return Term(value, torch.ones_like(value, requires_grad=False))
