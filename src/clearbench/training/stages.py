"""Runs a method's stages in order; each is finished once, whatever is killed in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from clearbench.devices import to_own_device
from clearbench.errors import ModelError
from clearbench.methods.base import Method
from clearbench.methods.decoupling import decoupled
from clearbench.methods.stages import ORIGINAL, PREVIOUS, Edit, Stage, Train
from clearbench.methods.statistics import saliency_mask
from clearbench.methods.step import NoReference, State
from clearbench.models.base import Model
from clearbench.training.checkpoint import History, Progress, load_stage, save_stage
from clearbench.training.feed import Feed
from clearbench.training.forgetting import forgetting_stage
from clearbench.training.goal import Goal
from clearbench.training.loop import OnStep, StageContext, train
from clearbench.training.masks import intersect
from clearbench.training.reference import FrozenReference, make_reference
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged, Watch

#: Difference of the seeds of two successive stages.
STAGE_SEED_STEP = 100_003


@dataclass
class StageRunner:
    """Runs a method's stages in order, with checkpoints.

    Attributes:
        weights: Every parameter that any stage may train, by name.
        kept: Copies of them that later stages start from or compare with, by name.
        state: State of the method, once it is prepared.
        goal: Criterion that ends the stage that forgets.
        watch: Criterion that ends any stage in which the model collapses.
    """

    model: Model
    method: Method
    feed: Feed
    rows: TrainingRows
    settings: TrainSettings
    weights: Mapping[str, nn.Parameter]
    kept: dict[str, dict[str, Tensor]]
    state: State | None = None
    goal: Goal | None = None
    watch: Watch | None = None

    def run(self, checkpoints: Path | None, on_step: OnStep | None) -> History:
        """Runs all stages; returns the history of those that train."""
        stages = self.method.stages()
        total = sum(schedule(s, self.settings).steps for s in stages if isinstance(s, Train))
        history: History = []
        for number, stage in enumerate(stages):
            folder = _stage_folder(checkpoints, number, stages)
            finished = load_stage(folder / "done") if folder else None
            if finished:
                done = self._resume(number, *finished)
            else:
                counted = _shifted(on_step, history, total)
                done = self._after(history, number, stage, folder, counted)
            history = history + done
            self._keep(stage.name, stages[number + 1 :])
            if folder and not finished and number + 1 < len(stages):
                save_stage(folder / "done", self.copy(), Progress(self.state or {}, history=done))
        return history

    def _after(
        self, before: History, number: int, stage: Stage, folder: Path | None, on_step: OnStep
    ) -> History:
        """Runs one stage; a divergence is raised with the history of the stages before as well."""
        try:
            return self._stage(number, stage, folder, on_step)
        except Diverged as error:
            error.history = before + error.history
            raise

    def copy(self) -> dict[str, Tensor]:
        """Copies every weight that may be trained."""
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    def _resume(self, number: int, weights: Mapping[str, Tensor], progress: Progress) -> History:
        """Puts in place what a finished stage has left; returns its history."""
        self._put(weights)
        stages = self.method.stages()
        training = [k for k, stage in enumerate(stages) if isinstance(stage, Train)]
        prepared = bool(training) and number >= training[0]
        self.state = progress.state if prepared else None
        return progress.history

    def _stage(self, number: int, stage: Stage, folder: Path | None, on_step: OnStep) -> History:
        """Runs one stage from its beginning or its newest checkpoint."""
        self._choose(stage)
        seed = self.rows.seed + STAGE_SEED_STEP * number
        self.model.weights_may_have_changed()
        if isinstance(stage, Edit):
            torch.manual_seed(seed)
            start, state = self.kept.get(ORIGINAL, {}), self.state or {}
            stage.function(self.model, replace(self.rows, start=start, state=state))
            history: History = []
        else:
            history = self._train(number, stage, seed, folder, on_step)
        self.model.weights_may_have_changed()
        return history

    def _train(
        self, number: int, stage: Train, seed: int, folder: Path | None, on_step: OnStep
    ) -> History:
        settings = schedule(stage, self.settings)
        needs = self.method.reads(stage)
        weights = self._reference_weights(stage, first=number == 0)
        reference = make_reference(self.model, needs, self.feed, seed, settings.steps, weights)
        if stage.start != PREVIOUS:
            self._put(self.kept[stage.start])
        twin = self.model.untrained(seed) if "untrained" in needs else None
        context = StageContext(
            reference,
            NoReference() if twin is None else FrozenReference(twin),
            self._prepared if self.state is None else lambda: self.state or {},
            self.method.after_step,
            self.goal if number == forgetting_stage(self.method) else None,
            self.watch,
        )
        stage = replace(stage, needs=needs)
        if settings.prompt_decoupling and number == forgetting_stage(self.method):
            stage = decoupled(stage, settings.prompt_decoupling)
        history, self.state = train(
            self.model,
            stage,
            self.feed,
            settings,
            seed,
            context,
            checkpoints=folder,
            on_step=on_step,
        )
        self.model.forwards += twin.forwards if twin else 0
        return history

    def _prepared(self) -> State:
        """The method's state before its first stage, with the mask that the settings ask for."""
        torch.manual_seed(self.rows.seed)
        state = self.method.prepare(self.model, self.rows, self.rows.seed)
        self.model.weights_may_have_changed()
        if self.settings.saliency is None:
            return state
        forget = self.rows.batches("forget")
        return intersect(state, saliency_mask(self.model, forget, self.settings.saliency))

    def _reference_weights(self, stage: Train, *, first: bool) -> Mapping[str, Tensor] | None:
        """The weights of the stage's reference; None for the model before any adapter."""
        if stage.reference == PREVIOUS:
            return self.copy()
        adapted = hasattr(self.model.module, "disable_adapter")
        if stage.reference == ORIGINAL and (first or adapted):
            return None
        return self.kept[stage.reference]

    def _choose(self, stage: Stage) -> None:
        """Sets `requires_grad` of the weights that the stage trains."""
        for weight in self.weights.values():
            weight.requires_grad_(True)  # a stage chooses among all of them
        if isinstance(stage, Train) and stage.parameters:
            fixed = [name for name in self.weights if not stage.parameters(self.model, name)]
            for name in fixed:
                self.weights[name].requires_grad_(False)
        if not self.model.trainable():
            raise ModelError(
                f"{self.method.name} finds none of its weights among those that may learn",
                "train.parts",
                f"this model has: {', '.join(self.model.parts)}",
            )

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    def _keep(self, name: str, later: Sequence[Stage]) -> None:
        """Copies the weights under a stage's name where a later stage refers to it."""
        if name and name in _named(later):
            self.kept[name] = self.copy()


def run_stages(
    model: Model,
    method: Method,
    feed: Feed,
    rows: TrainingRows,
    settings: TrainSettings,
    *,
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> History:
    """Runs a method's stages on `model`, whose parameters with `requires_grad` may be trained."""
    to_own_device(model.module)  # before anything is copied
    runner = StageRunner(model, method, feed, rows, settings, model.trainable(), {})
    stages = method.stages()
    looks_back = any(isinstance(stage, Edit) and stage.looks_back for stage in stages)
    if looks_back or ORIGINAL in _named(stages[1:]):
        runner.kept[ORIGINAL] = runner.copy()
    if settings.until:
        runner.goal = Goal(rows, settings.until)
    if settings.max_retain_rise:
        runner.watch = Watch(rows, settings.max_retain_rise)
    return runner.run(checkpoints, on_step)


def _named(stages: Sequence[Stage]) -> set[str]:
    """Names of the weights that stages start from or compare with."""
    trained = [stage for stage in stages if isinstance(stage, Train)]
    return {name for stage in trained for name in (stage.start, stage.reference)}


def schedule(stage: Train, settings: TrainSettings) -> TrainSettings:
    """The settings with a stage's share of the steps and its learning rate."""
    changes = {
        "steps": max(1, round(stage.share * settings.steps)),
        "learning_rate": stage.rate * settings.learning_rate,
    }
    return settings.model_copy(update=changes)


def _stage_folder(checkpoints: Path | None, number: int, stages: Sequence[Stage]) -> Path | None:
    """The folder in which a stage saves itself: its own only where there are several."""
    if checkpoints is None or len(stages) == 1:
        return checkpoints
    return checkpoints / f"stage-{number}"


def _shifted(on_step: OnStep | None, before: History, total: int) -> OnStep:
    """Makes `on_step` count the steps of all stages together."""

    def shifted(done: int, _: int, values: Mapping[str, float]) -> Mapping[str, float] | None:
        return None if on_step is None else on_step(len(before) + done, total, values)

    return shifted
