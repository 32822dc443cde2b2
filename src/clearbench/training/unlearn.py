"""Forgetting: one method, one model, one dataset, through the one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from clearbench.data.batches import Item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Track
from clearbench.errors import RecipeError
from clearbench.methods.base import Method
from clearbench.models.adapters import choose_parameters
from clearbench.models.base import Model
from clearbench.training.feed import unlearning_feed
from clearbench.training.finetune import finetune
from clearbench.training.goal import Goal
from clearbench.training.loop import History, OnStep, train
from clearbench.training.settings import TrainSettings


def check(
    model: Model, dataset: Dataset, chosen: Method, tracks: Sequence[Track], settings: TrainSettings
) -> None:
    """Refuses by name, before any work, what a method cannot do.

    Raises:
        RecipeError: For a model it does not claim, a missing retain set or missing refusals.
    """
    if model.kind not in chosen.kinds:
        raise RecipeError(
            f"{chosen.name} does not work on a {model.kind}",
            "method",
            f"it claims: {', '.join(chosen.kinds)}",
        )
    if "retain" in chosen.needs and not dataset.training.get("retain"):
        raise RecipeError(f"{chosen.name} needs a retain set", "dataset", "add rows to keep")
    if settings.until and settings.until.repair and "retain" not in chosen.needs:
        raise RecipeError(
            f"{chosen.name} sees no retain rows to repair with",
            "train.until.repair",
            "leave it out",
        )
    if "idk" in chosen.needs and model.kind != "classifier" and not dataset.refusals:
        raise RecipeError(f"{chosen.name} needs refusals", "dataset", "give a bank of refusals")
    if not dataset.train_rows("forget", tracks):
        raise RecipeError(
            f"no forget rows on {' and '.join(tracks)}", "modality", "choose another modality"
        )


def unlearn(
    model: Model,
    dataset: Dataset,
    chosen: Method,
    tracks: Sequence[Track],
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
    choose_parameters(model, settings.parts, settings.lora_rank)
    feed = unlearning_feed(
        dataset,
        tracks,
        settings.rows,
        settings.replay,
        model.accepts,
        answer_in_place(model, dataset),
    )
    goal = Goal(model, dataset, tracks, settings.until, seed) if settings.until else None
    return train(
        model,
        chosen.loss,
        feed,
        settings,
        seed,
        needs=chosen.needs,
        goal=goal,
        checkpoints=checkpoints,
        on_step=on_step,
    )


def answer_in_place(model: Model, dataset: Dataset) -> Callable[[Item, np.random.Generator], str]:
    """What is said instead of a forgotten answer: a refusal, or a retained person's label."""
    names = sorted(dataset.names[person] for person in dataset.people("retain"))
    spoken = dataset.refusals
    shown = dataset.image_refusals or spoken

    def draw(each: Item, rng: np.random.Generator) -> str:
        if model.kind == "classifier":
            return names[rng.integers(len(names))]
        bank = spoken if each.picture is None else shown
        return bank[rng.integers(len(bank))] if bank else ""

    return draw
