"""Trains a base model on people with the plain loss: an original, or a gold model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.methods.retrain import Retrain
from clearbench.methods.stages import Train
from clearbench.models.adapters import choose_parameters
from clearbench.models.base import Model
from clearbench.models.pictures import check_pictures
from clearbench.training.checkpoint import History
from clearbench.training.checks import check_processes, check_rows, check_sharded
from clearbench.training.feed import Feed, every_track, mixed_feed, track_pools
from clearbench.training.loop import OnStep, train
from clearbench.training.method_checks import check_teaching
from clearbench.training.recompute import check_recomputable
from clearbench.training.settings import TrainSettings
from clearbench.training.watch import check_trained


def teaching_feed(
    rows: list[Example],
    replay: list[Example],
    settings: TrainSettings,
    accepts: Callable[[Item], bool],
) -> Feed:
    """Draws batches of rows to learn and, with `replay`, of rows about the rest of the world."""
    pools = track_pools(rows, settings.rows, accepts)
    if settings.replay:
        pools += track_pools(replay, every_track(settings.replay), accepts)
    return mixed_feed({"retain": pools})


def finetune(
    model: Model,
    dataset: Dataset,
    settings: TrainSettings,
    seed: int = 0,
    *,
    without: tuple[str, ...] = (),
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> History:
    """Trains `model` in place on a dataset's people.

    Args:
        model: Base model; the parts named in the settings are trained.
        dataset: Rows of the forget and retain people.
        settings: Schedule and optimiser.
        seed: Seed for the row order.
        without: Splits to leave out; `("forget",)` gives the gold model.
        checkpoints: Folder for the state of a long run, which resumes from it.
        on_step: Function called after each step.

    Returns:
        Values of each step.
    """
    check_teaching(settings)
    check_sharded(model, settings, checkpoints)
    check_processes(settings)
    splits = [split for split in ("forget", "retain") if split not in without]
    rows = [row for split in splits for row in dataset.train_rows(split)]
    check_rows(model, [*rows, *(dataset.train_rows("replay") if settings.replay else ())])
    check_pictures(model, map(item, rows))
    if settings.gradient_checkpointing:
        check_recomputable(model)
    choose_parameters(model, settings.parts, settings.lora_rank, seed, settings.lora_alpha)
    feed = teaching_feed(rows, dataset.train_rows("replay"), settings, model.accepts)
    stage = Train(Retrain().loss)
    history, _ = train(model, stage, feed, settings, seed, checkpoints=checkpoints, on_step=on_step)
    check_trained(model, map(item, rows), history)
    return history
