"""A method's stages, one after the other; each is finished once, whatever is killed in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from clearbench.errors import ModelError
from clearbench.methods.base import Method
from clearbench.methods.stages import ORIGINAL, PREVIOUS, Edit, Stage, Train
from clearbench.methods.statistics import saliency_mask
from clearbench.methods.step import NoReference, State
from clearbench.models.base import Model
from clearbench.processes import processes
from clearbench.training.checkpoint import History, Progress, load_stage, save_stage
from clearbench.training.feed import Feed
from clearbench.training.goal import Goal, forgetting_stage
from clearbench.training.loop import OnStep, StageContext, train
from clearbench.training.masks import intersect
from clearbench.training.reference import FrozenReference, make_reference
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged, Watch

#: Seeds of a method's stages are this far apart.
STAGE_SEED_STEP = 100_003


@dataclass
class StageRunner:
    """One method on its way through its stages.

    Attributes:
        weights: All that may learn, in any stage.
        kept: Copies of them that a later stage starts from or looks back at, by name.
        state: The method's, once it is prepared.
        goal: Ends the stage that forgets.
        watch: Ends any stage in which the model collapses.
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
        """All stages; returns the history of those that train."""
        stages = self.method.stages()
        history: History = []
        steps = [_schedule(each, self.settings).steps for each in stages if isinstance(each, Train)]
        first = next((k for k, each in enumerate(stages) if isinstance(each, Train)), len(stages))
        for number, stage in enumerate(stages):
            place = _place(checkpoints, number, stages)
            found = load_stage(place / "done") if place else None
            if found:
                weights, progress = found
                self._put(weights)
                self.state = progress.state if number >= first else None
                done = progress.history
            else:
                try:
                    tell = _shifted(on_step, history, sum(steps))
                    done = self._stage(number, stage, place, tell)
                except Diverged as error:
                    error.history = history + error.history
                    raise
            history = history + done
            self._keep(stage.name, stages[number + 1 :])
            if place and not found and number + 1 < len(stages):
                save_stage(place / "done", self._copy(), Progress(self.state or {}, history=done))
        return history

    def _stage(self, number: int, stage: Stage, place: Path | None, on_step: OnStep) -> History:
        self._choose(stage)
        seed = self.rows.seed + STAGE_SEED_STEP * number
        if isinstance(stage, Edit):
            torch.manual_seed(seed)
            start, state = self.kept.get(ORIGINAL, {}), self.state or {}
            stage.function(self.model, replace(self.rows, start=start, state=state))
            return []
        return self._train(number, stage, seed, place, on_step)

    def _train(
        self, number: int, stage: Train, seed: int, place: Path | None, on_step: OnStep
    ) -> History:
        settings = _schedule(stage, self.settings)
        needs = self.method.reads(stage)
        looked_at = self._looked_at(stage, first=number == 0)
        reference = make_reference(self.model, needs, self.feed, seed, settings.steps, looked_at)
        if stage.start != PREVIOUS:
            self._put(self.kept[stage.start])
        twin = self.model.untrained(seed) if "untrained" in needs else None
        memory = StageContext(
            reference,
            NoReference() if twin is None else FrozenReference(twin),
            self._prepared if self.state is None else lambda: self.state or {},
            self.method.after_step,
            self.goal if number == forgetting_stage(self.method) else None,
            self.watch,
        )
        history, self.state = train(
            self.model,
            replace(stage, needs=needs),
            self.feed,
            settings,
            seed,
            memory,
            checkpoints=place,
            on_step=on_step,
        )
        self.model.forwards += twin.forwards if twin else 0
        return history

    def _prepared(self) -> State:
        torch.manual_seed(self.rows.seed)
        state = self.method.prepare(self.model, self.rows, self.rows.seed)
        if self.settings.saliency is None:
            return state
        forget = self.rows.batches("forget")
        return intersect(state, saliency_mask(self.model, forget, self.settings.saliency))

    def _looked_at(self, stage: Train, *, first: bool) -> Mapping[str, Tensor] | None:
        """Weights of the stage's reference; None for the model before any adapter."""
        if stage.reference == PREVIOUS:
            return self._copy()
        adapted = hasattr(self.model.module, "disable_adapter")
        if stage.reference == ORIGINAL and (first or adapted):
            return None
        return self.kept[stage.reference]

    def _choose(self, stage: Stage) -> None:
        """Lets learn what the stage lets."""
        for weight in self.weights.values():
            weight.requires_grad_(True)  # what a stage chooses among
        if isinstance(stage, Train) and stage.parameters:
            left = [name for name in self.weights if not stage.parameters(self.model, name)]
            for name in left:
                self.weights[name].requires_grad_(False)
        if not self.model.trainable():
            raise ModelError(
                f"{self.method.name} finds none of its weights among those that may learn",
                "train.parts",
                f"this model has: {', '.join(self.model.parts)}",
            )

    def _copy(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    def _keep(self, name: str, later: Sequence[Stage]) -> None:
        if name and name in _named(later):
            self.kept[name] = self._copy()


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
    """Takes `model`, whose parameters with `requires_grad` may learn, through a method's stages."""
    model.module.to(processes().device)  # before anything is copied
    course = StageRunner(model, method, feed, rows, settings, model.trainable(), {})
    stages = method.stages()
    looking_back = any(isinstance(each, Edit) and each.looks_back for each in stages)
    if looking_back or ORIGINAL in _named(stages[1:]):
        course.kept[ORIGINAL] = course._copy()
    if settings.until:
        course.goal = Goal(rows, settings.until)
    if settings.max_retain_rise:
        course.watch = Watch(rows, settings.max_retain_rise)
    return course.run(checkpoints, on_step)


def _named(stages: Sequence[Stage]) -> set[str]:
    """The weights that stages start from or look back at."""
    trained = [each for each in stages if isinstance(each, Train)]
    return {name for each in trained for name in (each.start, each.reference)}


def _schedule(stage: Train, settings: TrainSettings) -> TrainSettings:
    changes = {
        "steps": max(1, round(stage.share * settings.steps)),
        "learning_rate": stage.rate * settings.learning_rate,
    }
    return settings.model_copy(update=changes)


def _place(checkpoints: Path | None, number: int, stages: Sequence[Stage]) -> Path | None:
    """Where a stage saves itself: a method of one stage needs no folder for each."""
    if checkpoints is None or len(stages) == 1:
        return checkpoints
    return checkpoints / f"stage-{number}"


def _shifted(on_step: OnStep | None, before: History, steps: int) -> OnStep:
    """Counts the steps of all stages together."""

    def counted(done: int, _: int, values: Mapping[str, float]) -> Mapping[str, float] | None:
        return on_step(len(before) + done, steps, values) if on_step is not None else None

    return counted
