"""Forgetting: one method, one model, one dataset, through the one loop."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from clearbench.data.dataset import Dataset
from clearbench.methods.base import Method
from clearbench.models.adapters import choose_parameters
from clearbench.models.base import Model
from clearbench.models.shadow import shadow_label
from clearbench.training.checkpoint import History
from clearbench.training.checks import check, check_processes
from clearbench.training.feed import unlearning_feed
from clearbench.training.finetune import finetune
from clearbench.training.loop import OnStep
from clearbench.training.roles import Roles
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings
from clearbench.training.stages import run_stages


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
        model: The original; the base for a method that trains `from_base`.
        dataset: Who is forgotten and who is kept.
        chosen: The method with its hyper-parameters.
        tracks: Which of the forget rows: text, image or both.
        settings: The schedule.
        seed: Of the order of rows and the choice of refusals.
        checkpoints: Where a long run saves its state.
        on_step: Told about each step.
    """
    check(model, dataset, chosen, tracks, settings)
    check_processes(settings, checkpoints)
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
        choose_parameters(model, settings.parts, settings.lora_rank, seed)
        roles = Roles(model, dataset)
        feed = unlearning_feed(
            dataset, tracks, settings.rows, settings.replay, roles, chosen.needed
        )
        rows = TrainingRows(model, dataset, tracks, settings.batch_size, seed)
        return run_stages(
            model, chosen, feed, rows, settings, checkpoints=checkpoints, on_step=on_step
        )
