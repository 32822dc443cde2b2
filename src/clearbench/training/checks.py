"""Refuses methods and settings that a model and its rows cannot do, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from clearbench.batches.items import Item, item
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.errors import RecipeError
from clearbench.methods.base import Method
from clearbench.methods.stages import Edit
from clearbench.methods.step import ROLES
from clearbench.models.base import Model
from clearbench.processes import processes
from clearbench.training.goal import known_answers, strange_answers
from clearbench.training.method_checks import check_method, check_until, refused_until
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import TrainSettings, Until

#: Settings that read, mask or add weights, and so need them whole in every process.
WHOLE = ("lora_rank", "penalty", "saliency")


def check_rows(model: Model, rows: Iterable[Example], more: Iterable[Item] = ()) -> None:
    """Refuses rows to train on that the model cannot read, all at once, as `Model.check`."""
    items = [*(item(row) for row in rows if not row.held_out), *more]
    model.check([each for each in items if model.accepts(each)])


def check_processes(settings: TrainSettings) -> None:
    """Refuses a step with less than a row for every micro-batch of every process."""
    count, rows = processes().num_processes, min(settings.rows.values())
    cuts = settings.accumulate or 1
    parts = count * cuts
    if parts > rows:
        raise RecipeError(
            f"{rows} rows of a batch cannot be shared among {count} processes of "
            f"{cuts} micro-batches",
            "train.batch_size",
            f"make it {parts} or more",
        )


def check_sharded(model: Model, settings: TrainSettings, checkpoints: Path | None) -> None:
    """Refuses what needs whole weights where each process holds a part of every one."""
    if not model.is_sharded:
        return
    if checkpoints is not None:
        raise RecipeError(
            "checkpoints need whole weights, and this model's are sharded",
            "checkpoints",
            "train without checkpoints, or do not shard the model",
        )
    for field in WHOLE:
        if getattr(settings, field) is not None:
            raise RecipeError(
                f"'{field}' needs whole weights, and this model's are sharded",
                f"train.{field}",
                "leave it out, or do not shard the model",
            )
    if settings.optimizer != "adamw":
        raise RecipeError(
            f"'{settings.optimizer}' needs whole weights, and this model's are sharded",
            "train.optimizer",
            "choose 'adamw', or do not shard the model",
        )


def check(
    model: Model,
    dataset: Dataset,
    chosen: Method,
    tracks: Sequence[str],
    settings: TrainSettings,
    checkpoints: Path | None = None,
) -> None:
    """Refuses, in addition, what needs rows that this dataset does not have.

    Raises:
        RecipeError: Forget, retain or stranger rows, or refusals, are missing.
    """
    check_method(chosen, model.kind, tracks, settings)
    check_sharded(model, settings, checkpoints)
    edits = any(isinstance(stage, Edit) for stage in chosen.stages())
    if model.is_sharded and (edits or not {*chosen.needed} <= {*ROLES, "reference_log_probs"}):
        raise RecipeError(
            f"{chosen.name} needs whole weights, and this model's are sharded",
            "method",
            "do not shard the model",
        )
    if "retain" in chosen.needed and not dataset.training.get("retain"):
        raise RecipeError(f"{chosen.name} needs a retain set", "dataset", "add rows to keep")
    if settings.prompt_decoupling and not dataset.training.get("retain"):
        raise RecipeError(
            "there is no retained person whom a forget question could be asked about",
            "train.prompt_decoupling",
            "leave it out, or add rows to keep",
        )
    refuses = {"idk", "refused"} & {*chosen.needed}
    if refuses and model.kind != "classifier" and not dataset.refusals:
        raise RecipeError(f"{chosen.name} needs refusals", "dataset", "give a bank of refusals")
    if not dataset.train_rows("forget", tracks):
        raise RecipeError(
            f"no forget rows on {' and '.join(tracks)}", "modality", "choose another modality"
        )
    trained = [*dataset.train_rows("forget", tracks), *dataset.train_rows("retain")]
    replayed = dataset.train_rows("replay") if settings.replay else []
    check_rows(model, [*trained, *replayed], _refusals(dataset, tracks) if refuses else ())
    rows = TrainingRows(model, dataset, tracks, settings.batch_size, seed=0)
    if settings.until:
        check_until(chosen, rows.readable_tracks, settings.until)
        _check_strangers(rows, settings.until)
    if settings.max_retain_rise and not rows.items("retain"):
        raise RecipeError(
            "there are no retain rows whose loss could rise",
            "train.max_retain_rise",
            "leave it out",
        )


def _refusals(dataset: Dataset, tracks: Sequence[str]) -> Iterator[Item]:
    """Yields every refusal as the answer to a forget question."""
    asked = next(iter(dataset.train_rows("forget", tracks)))
    for text in (*dataset.refusals, *dataset.image_refusals):
        yield item(asked, "refusal", text)


def _check_strangers(rows: TrainingRows, until: Until) -> None:
    """Refuses an `until` on a track without rows to forget or without strangers."""
    for track in rows.readable_tracks:
        if until.shares[track] is not None and not known_answers(rows, track):
            raise refused_until(f"there are no questions or captions to forget on {track}")
        if until.shares[track] is not None and not strange_answers(rows, track):
            raise RecipeError(
                f"`until` needs people the model has never met, and there are none on {track}",
                "train.until",
                "give strangers (the holdout split), or leave `until` out",
            )
