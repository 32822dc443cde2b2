"""Trains many small heads at once, as one tensor program, through the losses of methods.

A model's rows, learning rate, clipping and AdamW are its own, so that each head becomes what it
would become alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

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
#: Settings that `train_many` follows; all others must have their defaults.
FOLLOWED = frozenset(
    {
        "steps", "batch_size", "image_batch_size", "learning_rate", "warmup", "decay", "floor",
        "weight_decay", "clip", "parts", "checkpoint_seconds",
    }
)  # fmt: skip
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
    """Whether a method's heads can be trained at once: one stage of one loss, without a state."""
    return _only_stage(method) is not None and _is_plain(settings)


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


def _is_plain(settings: TrainSettings) -> bool:
    changed = settings.model_dump(exclude_defaults=True)
    return set(changed) <= FOLLOWED


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
    """
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
        RecipeError: The method has stages, edits or a state of each model.
    """
    stage = _only_stage(method)
    if stage is None:
        fix = "train its heads one by one"
        raise RecipeError(f"{method.name} is no single loss without a state", "method", fix)
    needs = method.reads(stage)
    roles = Roles(model, dataset)
    feed = unlearning_feed(dataset, tracks, settings.rows, 0, roles, needs)
    named = Train(stage.loss, needs=needs)
    _train(model, named, ManyFeeds(feed, seeds), settings)


def _train(model: Model, stage: Train, feeds: ManyFeeds, settings: TrainSettings) -> None:
    module = model.module
    if not isinstance(module, StackedHeads):
        raise RecipeError("the heads are not stacked", "model", "stack their weights")
    needs = stage.needs or ("retain",)
    reference = FrozenReference(model).keep()
    weights = list(model.trainable().values())
    optimizer = torch.optim.AdamW(
        weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    model.train(True)
    for number in range(settings.steps):
        drawn = feeds.draw(number)
        batches = {role: model.batch(drawn[role]) for role in needs if drawn.get(role)}
        step = Step(model, reference, batches, number=number, steps=settings.steps)
        terms = [term.by_model(module.models) for term in stage.loss(step).values()]
        total = reduce(torch.add, [term.mean.sum() for term in terms])
        if not math.isfinite(float(total.detach())):
            raise Diverged({"loss": float(total.detach())}, [])
        total.backward()
        clip_by_model(weights, settings.clip)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(number)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.train(False)


@torch.no_grad()
def clip_by_model(weights: Sequence[Tensor], largest: float) -> None:
    """Scales each model's gradient to a largest norm, as `clip_grad_norm_` does for one model."""
    found = [weight.grad for weight in weights if weight.grad is not None]
    squares = [gradient.flatten(1).norm(dim=1).square() for gradient in found]
    norms = reduce(torch.add, squares).sqrt()
    factors = (largest / (norms + 1e-6)).clamp(max=1.0)
    for gradient in found:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
