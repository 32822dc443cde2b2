"""Refuses methods and settings that cannot do what is asked, whatever the model and the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from clearbench.batches.kind import Kind
from clearbench.data.modality import readable_by, spell_modalities
from clearbench.errors import RecipeError, did_you_mean
from clearbench.methods.base import METHODS, Method, method
from clearbench.methods.stages import Edit, Train
from clearbench.training.forgetting import forgetting_stage
from clearbench.training.settings import LARGEST_SEED, TrainSettings, Until

#: Settings of unlearning alone.
FORGETTING = ("saliency", "rule", "prompt_decoupling", "until", "max_retain_rise")


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
            raise refused_until("a classifier has no answers for people it has never met")
        readable = readable_by(kind)
        check_until(chosen, [track for track in tracks if track in readable], settings.until)


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


def check_until(chosen: Method, tracks: Sequence[str], until: Until) -> None:
    """Refuses an `until` that a method or its tracks would not use in full."""
    shares = [until.shares[track] for track in tracks]
    if forgetting_stage(chosen) is None:
        raise refused_until(f"{chosen.name} does not forget step by step")
    if not any(shares):
        raise refused_until(f"it has no share for {' or '.join(tracks)}, which is to be forgotten")
    if until.repair and not all(shares):
        raise refused_until("a track without a share is never done, so nothing would be repaired")
    if until.repair and "retain" not in chosen.needs:
        raise refused_until(f"{chosen.name} sees no retain rows to repair with", "until.repair")


def refused_until(why: str, field: str = "until") -> RecipeError:
    """Returns the error of an `until` that would end nothing."""
    return RecipeError(f"`until` would not end this run: {why}", f"train.{field}", "leave it out")
