"""Trains or edits a model with an unlearning method, so that it forgets a dataset's people."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.methods.base import Method
from clearbench.models.adapters import choose_parameters
from clearbench.models.base import Model
from clearbench.models.pictures import check_pictures
from clearbench.models.shadow import shadow_label
from clearbench.training.checkpoint import History
from clearbench.training.checks import check, check_processes
from clearbench.training.feed import unlearning_feed
from clearbench.training.finetune import finetune
from clearbench.training.loop import OnStep
from clearbench.training.recompute import check_recomputable
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.stages import run_stages
from clearbench.training.watch import check_trained


def unlearn(
    model: Model,
    dataset: Dataset,
    chosen: Method,
    tracks: Sequence[str],
    settings: TrainSettings,
    seed: int = 0,
    *,
    checkpoints: Path | None = None,
    on_step: OnStep | None = None,
) -> History:
    """Makes `model` forget the dataset's forget people, in place.

    Args:
        model: Original model; the base for a method that trains `from_base`.
        dataset: Rows of the people to forget and of those to keep.
        chosen: Method with its hyper-parameters.
        tracks: Tracks of the forget rows.
        settings: Schedule and optimiser.
        seed: Seed for the row order and the choice of refusals.
        checkpoints: Folder for the state of a long run, which resumes from it.
        on_step: Function called after each step.

    Returns:
        Values of each step of the stages that train.
    """
    check(model, dataset, chosen, tracks, settings, checkpoints)
    check_processes(settings)
    rows = TrainingRows(model, dataset, tracks, settings.batch_size, seed)
    check_pictures(model, (row for role in ("forget", "retain") for row in rows.items(role)))
    if settings.gradient_checkpointing:
        check_recomputable(model)
    if chosen.from_base:
        return finetune(
            model,
            dataset,
            settings,
            seed,
            without=("forget",),
            checkpoints=checkpoints,
            on_step=on_step,
        )
    with shadow_label(model, seed) if "shadow" in chosen.needs else nullcontext():
        choose_parameters(model, settings.parts, settings.lora_rank, seed, settings.lora_alpha)
        roles = Roles(model, dataset)
        needs = (*chosen.needed, *(("decoupled",) if settings.prompt_decoupling else ()))
        feed = unlearning_feed(dataset, tracks, settings.rows, settings.replay, roles, needs)
        history = run_stages(
            model, chosen, feed, rows, settings, checkpoints=checkpoints, on_step=on_step
        )
    read = (row for role in ("retain", "forget") for row in rows.items(role))
    check_trained(model, read, history)
    return history
