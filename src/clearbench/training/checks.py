"""Refuses methods and settings that cannot do what is asked, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from clearbench.batches.items import Item, item
from clearbench.batches.kind import Kind
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.modality import readable_by, spell_modalities
from clearbench.errors import RecipeError, did_you_mean
from clearbench.methods.base import METHODS, Method, method
from clearbench.methods.stages import Edit, Train
from clearbench.methods.step import ROLES
from clearbench.models.base import Model
from clearbench.processes import processes
from clearbench.training.goal import forgetting_stage, known_answers, strange_answers
from clearbench.training.rows import TrainingRows
from clearbench.training.settings import LARGEST_SEED, TrainSettings, Until

#: Settings of unlearning alone.
FORGETTING = ("saliency", "rule", "prompt_decoupling", "until", "max_retain_rise")
#: Settings that read, mask or add weights, and so need them whole in every process.
WHOLE = ("lora_rank", "penalty", "saliency")


def check_rows(model: Model, rows: Iterable[Example], more: Iterable[Item] = ()) -> None:
    """Refuses rows to train on that the model cannot read, all at once, as `Model.check`."""
    items = [*(item(row) for row in rows if not row.held_out), *more]
    model.check([each for each in items if model.accepts(each)])


def check_processes(settings: TrainSettings) -> None:
    """Refuses a step with less than a row for every micro-batch of every process."""
    count, rows = processes().num_processes, min(settings.rows.values())
    parts = count * settings.accumulate
    if parts > rows:
        raise RecipeError(
            f"{rows} rows of a batch cannot be shared among {count} processes of "
            f"{settings.accumulate} micro-batches",
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


def check_teaching(settings: TrainSettings) -> None:
    """Refuses the settings of unlearning in a training that forgets nothing."""
    for field in FORGETTING:
        if getattr(settings, field) is not None:
            raise RecipeError(f"'{field}' is about forgetting", f"train.{field}", "leave it out")


def named_method(name: str, hyperparameters: Mapping[str, Any], training_goes: str) -> Method:
    """Builds a method by name with checked hyper-parameters.

    Args:
        name: Name of the method.
        hyperparameters: Values by name.
        training_goes: Spelling of a training setting in this place, with `{}` for name and value.

    Raises:
        RecipeError: A name is unknown, is one of a training setting, or a value is out of range.
    """
    own = METHODS.named(name).model_fields
    for key, value in hyperparameters.items():
        if key not in own and key in TrainSettings.model_fields:
            raise RecipeError(
                f"'{key}' is a training setting, not a hyper-parameter of {name}",
                f"method '{name}'",
                f"write {training_goes.format(key, value)}",
            )
        if key not in own:
            hint = did_you_mean(key, {*own, *TrainSettings.model_fields})
            raise RecipeError(
                f"unknown key '{key}'; {hint}",
                f"method '{name}'",
                f"its hyper-parameters: {', '.join(own) or 'none'}",
            )
    return method(name, **hyperparameters)


def check_seed(seed: int) -> None:
    """Refuses a seed that the random numbers of training cannot have.

    Raises:
        RecipeError: It is no whole number from 0 to `LARGEST_SEED`.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed <= LARGEST_SEED:
        fix = f"give a whole number from 0 to {LARGEST_SEED}"
        raise RecipeError(f"{seed!r:.40} is no seed", "seed", fix)


def check_method(
    chosen: Method, kind: Kind, tracks: Sequence[str], settings: TrainSettings
) -> None:
    """Refuses what a method cannot do, whatever the model and the data.

    Raises:
        RecipeError: The kind of model or the modality is not claimed, or settings have no effect
            on it.
    """
    for what, asked, claimed, able in (
        ("model", kind, chosen.kinds, kind in chosen.kinds),
        ("modality", spell_modalities(tracks), chosen.modalities, chosen.forgets(tracks)),
    ):
        if not able:
            raise RecipeError(
                f"{chosen.name} does not work on the {what} '{asked}'",
                "method",
                f"it claims: {', '.join(claimed)}",
            )
    if chosen.from_base:
        check_teaching(settings)
    _check_training(chosen, settings)
    if settings.until:
        if kind == "classifier":
            raise _refused("a classifier has no answers for people it has never met")
        readable = readable_by(kind)
        _check_until(chosen, [track for track in tracks if track in readable], settings.until)


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
        _check_until(chosen, rows.readable_tracks, settings.until)
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


def _check_training(chosen: Method, settings: TrainSettings) -> None:
    """Refuses settings that a method's stages would not use."""
    stages = chosen.stages()
    trained = [stage for stage in stages if isinstance(stage, Train)]
    if trained and isinstance(stages[0], Edit) and settings.lora_rank is not None:
        raise RecipeError(
            f"{chosen.name} edits weights before it trains them, and adapters hold none of those",
            "train.lora_rank",
            "leave it out",
        )
    if not trained:
        for field in ("lora_rank", "penalty", *FORGETTING):
            if getattr(settings, field) is not None:
                raise RecipeError(
                    f"{chosen.name} trains nothing that '{field}' could act on",
                    f"train.{field}",
                    "leave it out",
                )
        return
    if chosen.artefact == "guard":
        for field in ("lora_rank", "max_retain_rise"):
            if getattr(settings, field) is not None:
                raise RecipeError(
                    f"{chosen.name} trains whole weights of an assistant, not the model's",
                    f"train.{field}",
                    "leave it out",
                )
    _check_mixing(chosen, trained[0], settings)


def _check_mixing(chosen: Method, first: Train, settings: TrainSettings) -> None:
    """Refuses a gradient rule or decoupled prompts where a method has its own, or no use."""
    own = first.rule or first.tensor_rule
    if settings.rule and (own or not {"forget", "retain"} <= {*chosen.needs}):
        why = "brings its own" if own else "has not both a forget and a retain term"
        raise RecipeError(
            f"{chosen.name} takes no other gradient rule: it {why}", "train.rule", "leave it out"
        )
    if settings.prompt_decoupling:
        brought = "decoupled" in chosen.needs
        if brought or forgetting_stage(chosen) is None:
            why = "brings its own" if brought else "does not forget step by step"
            raise RecipeError(
                f"{chosen.name} takes no decoupled prompts: it {why}",
                "train.prompt_decoupling",
                "leave it out",
            )


def _check_until(chosen: Method, tracks: Sequence[str], until: Until) -> None:
    """Refuses an `until` that a method or its tracks would not use in full."""
    shares = [until.shares[track] for track in tracks]
    if forgetting_stage(chosen) is None:
        raise _refused(f"{chosen.name} does not forget step by step")
    if not any(shares):
        raise _refused(f"it has no share for {' or '.join(tracks)}, which is to be forgotten")
    if until.repair and not all(shares):
        raise _refused("a track without a share is never done, so nothing would be repaired")
    if until.repair and "retain" not in chosen.needs:
        raise _refused(f"{chosen.name} sees no retain rows to repair with", "until.repair")


def _check_strangers(rows: TrainingRows, until: Until) -> None:
    """Refuses an `until` on a track without rows to forget or without strangers."""
    for track in rows.readable_tracks:
        if until.shares[track] is not None and not known_answers(rows, track):
            raise _refused(f"there are no questions or captions to forget on {track}")
        if until.shares[track] is not None and not strange_answers(rows, track):
            raise RecipeError(
                f"`until` needs people the model has never met, and there are none on {track}",
                "train.until",
                "give strangers (the holdout split), or leave `until` out",
            )


def _refused(why: str, field: str = "until") -> RecipeError:
    return RecipeError(f"`until` would not end this run: {why}", f"train.{field}", "leave it out")
