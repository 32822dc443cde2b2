"""Parses `--set` and `--hyper`: training settings and a method's hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clearbench.cli.output import say
from clearbench.errors import RecipeError, did_you_mean

#: Steps of unlearning where nothing else is said.
STEPS = 30


def assignments(option: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """Parses the values of a repeated `name=value` option; the last value of a name counts.

    Raises:
        RecipeError: A pair is no such thing, or its value is no YAML.
    """
    import yaml

    values: dict[str, Any] = {}
    for pair in pairs or ():
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise RecipeError(f"'{pair}' is not name=value", option, f"write {option} steps=30")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError) as error:
            fix = "write a number, a word, or a YAML list in quotes"
            raise RecipeError(f"{key}: '{text[:60]}' is no value", option, fix) from error
        if key in values:
            say(f"{option} {key} is given more than once: {value} counts", err=True)
        values[key] = value
    return values


def one_method(name: str) -> str:
    """Returns the name of a method.

    Raises:
        RecipeError: There are several, or there is none of that name.
    """
    from clearbench.methods.base import METHODS

    if "," in name:
        raise RecipeError(
            f"one method at a time, not '{name}'",
            "--method",
            "run the command once for each; a recipe runs many: `clearbench run RECIPE`",
        )
    return METHODS.named(name).name


def training_settings(pairs: Sequence[str] | None, **defaults: Any) -> dict[str, Any]:
    """Parses and checks training settings; returns those that were given, over defaults.

    Raises:
        RecipeError: A setting is unknown or out of range.
    """
    from clearbench.training.settings import TrainSettings

    values = {**defaults, **assignments("--set", pairs)}
    TrainSettings.of(**values)
    return values


def method_settings(
    name: str, training: Sequence[str] | None, own: Sequence[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parses and checks the settings of unlearning by one method.

    Args:
        name: Name of the method.
        training: Values of `--set`.
        own: Values of `--hyper`.

    Returns:
        Training settings that were given, and hyper-parameters, by name.

    Raises:
        RecipeError: A name is unknown, belongs to the other option, or a value is out of range.
    """
    from clearbench.methods.base import METHODS
    from clearbench.training.method_checks import named_method
    from clearbench.training.settings import TrainSettings

    known = METHODS.named(name).model_fields
    settings, parameters = assignments("--set", training), assignments("--hyper", own)
    for key, value in settings.items():
        if key in TrainSettings.model_fields:
            continue
        if key in known:
            what = f"'{key}' is a hyper-parameter of {name}, not a training setting"
            raise RecipeError(what, "--set", f"write --hyper {key}={value}")
        hint = did_you_mean(key, {*TrainSettings.model_fields, *known})
        raise RecipeError(f"unknown setting '{key}'; {hint}", "--set", "correct its name")
    named_method(name, parameters, "--set {}={}")
    TrainSettings.of(**{"steps": STEPS, **settings})
    return settings, parameters
