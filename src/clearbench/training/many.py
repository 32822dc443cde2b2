"""Trains many small heads at once, as one tensor program, through the losses of methods.

A model's rows, learning rate, clipping and AdamW are its own, so that each head becomes what it
would become alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import torch
from torch import Tensor

from clearbench.batches.items import Item
from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.methods.base import Method
from clearbench.methods.retrain import Retrain
from clearbench.methods.stages import ORIGINAL, PREVIOUS, Train
from clearbench.methods.step import Step
from clearbench.models.base import Model
from clearbench.models.embedding_heads import HeadModel, StackedHeads
from clearbench.training.feed import Feed, unlearning_feed
from clearbench.training.finetune import teaching_feed
from clearbench.training.reference import FrozenReference
from clearbench.training.roles import Roles
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import Diverged

#: Number of heads in one tensor program; more at once are slower (benchmarks/shadow_models.py).
AT_ONCE = 16
#: Settings that heads at once follow; all others must have their defaults.
FOLLOWED = frozenset(
    {
        "steps", "batch_size", "image_batch_size", "learning_rate", "warmup", "decay", "floor",
        "weight_decay", "clip", "parts", "checkpoint_seconds",
    }
)  # fmt: skip
#: What to do where heads can't be trained at once.
ONE_BY_ONE = "train its heads one by one"
#: Largest difference of a head's first gradient, as a share of it, from that of the head alone.
SAME_GRADIENT = 1e-3
#: Weights of the heads by name, each (models, ...).
Stacked = Mapping[str, Tensor]
#: Function called with (heads done, heads in all).
OnHeads = Callable[[int, int], None]


@dataclass(frozen=True)
class ManyFeeds:
    """Draws the rows of many models, one model's after the other's.

    Attributes:
        feed: Feed of one model.
        seeds: Seed of each model.
    """

    feed: Feed
    seeds: Sequence[int]

    def draw(self, step: int) -> dict[str, list[Item]]:
        """Draws the rows of a step by role."""
        drawn = [self.feed(seed, step) for seed in self.seeds]
        return {role: [item for rows in drawn for item in rows[role]] for role in drawn[0]}


def can_stack(method: Method, settings: TrainSettings) -> bool:
    """Whether a method's heads may be trained at once: one stage of one loss, without a state.

    Whether its loss keeps the rows of different heads apart is found in the first step.
    """
    return _only_stage(method) is not None and can_teach(settings)


def can_teach(settings: TrainSettings) -> bool:
    """Whether heads at once follow all settings that are not at their defaults."""
    return set(settings.model_dump(exclude_defaults=True)) <= FOLLOWED


def _only_stage(method: Method) -> Train | None:
    """Returns the stage of a method that has one, and nothing else."""
    own = type(method)
    stateless = own.prepare is Method.prepare and own.after_step is Method.after_step
    stages = method.stages()
    (first, *others) = stages
    special = {"untrained", "shadow"} & set(method.needed)
    if not isinstance(first, Train) or others or not stateless or special:
        return None
    plain = (first.start, first.reference) == (PREVIOUS, ORIGINAL) and first.share == 1
    mixes = first.rule or first.tensor_rule or first.probe or first.parameters or first.snapshots
    return None if mixes or not plain else first


def teach_many(
    model: HeadModel,
    dataset: Dataset,
    settings: TrainSettings,
    seeds: Sequence[int],
    without: tuple[str, ...] = (),
) -> None:
    """Teaches stacked heads a dataset's people, in place, as `finetune` teaches one.

    Args:
        model: Stacked heads, one for each seed.
        dataset: Rows of the people.
        settings: Schedule and optimiser.
        seeds: Seed of each head's row order.
        without: Splits to leave out.

    Raises:
        RecipeError: A setting is not followed.
        Diverged: A loss or a gradient is not finite.
    """
    if not can_teach(settings):
        raise RecipeError("a setting is not followed by heads at once", "teach", ONE_BY_ONE)
    splits = [split for split in ("forget", "retain") if split not in without]
    rows = [row for split in splits for row in dataset.train_rows(split)]
    feed = teaching_feed(rows, [], settings, model.accepts)
    _train(model, Train(Retrain().loss, needs=("retain",)), ManyFeeds(feed, seeds), settings)


def unlearn_many(
    model: HeadModel,
    dataset: Dataset,
    method: Method,
    tracks: Sequence[str],
    settings: TrainSettings,
    seeds: Sequence[int],
) -> None:
    """Makes stacked heads forget a dataset's forget people, in place, as `unlearn` makes one.

    Raises:
        RecipeError: The method has stages, edits or a state of each model, a setting is not
            followed, or the loss mixes the rows of different heads; nothing was changed.
        Diverged: A loss or a gradient is not finite.
    """
    stage = _only_stage(method)
    if stage is None or not can_teach(settings):
        raise RecipeError(f"{method.name} is no single loss without a state", "method", ONE_BY_ONE)
    needs = method.reads(stage)
    roles = Roles(model, dataset)
    feed = unlearning_feed(dataset, tracks, settings.rows, 0, roles, needs)
    named = Train(stage.loss, needs=needs)
    _train(model, named, ManyFeeds(feed, seeds), settings)


def _train(model: HeadModel, stage: Train, feeds: ManyFeeds, settings: TrainSettings) -> None:
    if not isinstance(model.module, StackedHeads):
        raise RecipeError("the heads are not stacked", "model", "stack their weights")
    weights = list(model.trainable().values())
    gradients = _Gradients(model, stage, feeds, settings.steps)
    model.train(True)
    _check_apart(gradients, weights)
    optimizer = torch.optim.AdamW(
        weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    for number in range(settings.steps):
        loss = gradients.compute(number)
        norms = clip_by_model(weights, settings.clip)
        values = {"loss": loss, "gradient_norm": float(norms.sum())}
        if not all(map(math.isfinite, values.values())):
            raise Diverged(values, [])
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(number)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.train(False)
    if not all(bool(weight.isfinite().all()) for weight in weights):
        raise Diverged(values, [], "the last update made weights that are not finite")


@dataclass(frozen=True)
class _Gradients:
    """Computes the gradients of stacked heads.

    Attributes:
        model: Stacked heads.
        stage: Stage whose loss is used.
        feeds: Rows of every head.
        steps: Number of the stage's steps.
    """

    model: HeadModel
    stage: Train
    feeds: ManyFeeds
    steps: int

    @cached_property
    def reference(self) -> FrozenReference:
        """The heads before the first step."""
        return FrozenReference(self.model).keep()

    def compute(self, number: int) -> float:
        """Computes every head's gradient of a step into `.grad`; returns the sum of the losses."""
        drawn, needs = self.feeds.draw(number), self.stage.needs or ("retain",)
        batches = {role: self.model.batch(drawn[role]) for role in needs if drawn.get(role)}
        model: Model = self.model
        step = Step(model, self.reference, batches, number=number, steps=self.steps)
        terms = [term.by_model(self.model.models) for term in self.stage.loss(step).values()]
        total = reduce(torch.add, [term.mean.sum() for term in terms])
        total.backward()
        return float(total.detach())

    def alone(self) -> _Gradients:
        """The same for the first head alone."""
        module = StackedHeads(self.model.module.config)
        named = self.model.module.named_parameters()
        module.stack({name: weight[:1] for name, weight in named})
        module.to(device=self.model.device)  # type: ignore[call-arg]  # its stub lacks the signature
        first = HeadModel(module, self.model.features)
        first.train_only(self.model.parts)
        first.train(True)
        feeds = replace(self.feeds, seeds=self.feeds.seeds[:1])
        return _Gradients(first, self.stage, feeds, self.steps)


def _check_apart(gradients: _Gradients, weights: Sequence[Tensor]) -> None:
    """Refuses a loss by which one head's gradient depends on other heads' rows.

    Compared is the first step's gradient of the first head with that of the head alone.
    """
    if gradients.model.models == 1:
        return
    gradients.compute(0)
    together = [None if weight.grad is None else weight.grad[0].clone() for weight in weights]
    for weight in weights:
        weight.grad = None
    alone = gradients.alone()
    alone.compute(0)
    theirs = [weight.grad for weight in alone.model.trainable().values()]
    pairs = [
        (ours, other[0])
        for ours, other in zip(together, theirs, strict=True)
        if ours is not None and other is not None
    ]
    gap = sum(float((ours - other).square().sum()) for ours, other in pairs)
    size = sum(float(other.square().sum()) for _, other in pairs)
    if gap > SAME_GRADIENT**2 * size:
        raise RecipeError("a loss mixes the rows of different heads", "loss", ONE_BY_ONE)


@torch.no_grad()
def clip_by_model(weights: Sequence[Tensor], largest: float) -> Tensor:
    """Scales each model's gradient to a largest norm, as `clip_grad_norm_` does for one model.

    Returns:
        Norms before, (models,).
    """
    found = [weight.grad for weight in weights if weight.grad is not None]
    squares = [gradient.flatten(1).norm(dim=1).square() for gradient in found]
    norms: Tensor = reduce(torch.add, squares).sqrt()
    factors = (largest / (norms + 1e-6)).clamp(max=1.0)
    for gradient in found:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
    return norms
