"""Divides keyword arguments into rows, training settings and a method's hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clearbench.errors import RecipeError
from clearbench.methods.base import METHODS, Method
from clearbench.models.base import Model
from clearbench.training.method_checks import named_method
from clearbench.training.settings import TrainSettings

#: Spelling of a training setting where the settings are an object.
_IN_SETTINGS = "settings=TrainSettings({}={!r})"


def divide(
    name: str, keywords: Mapping[str, Any], settings: TrainSettings | None, steps: int
) -> tuple[Method, TrainSettings]:
    """Builds a method and a schedule from keyword arguments.

    Args:
        name: Name of the method.
        keywords: Hyper-parameters of the method and, where `settings` is None, training settings.
        settings: Training settings as an object.
        steps: Number of updates where none is given.

    Raises:
        RecipeError: A name is unknown or belongs to both, or a value is out of range.
    """
    if settings is not None:
        return named_method(name, keywords, _IN_SETTINGS), settings
    own = {*METHODS.named(name).model_fields}
    for key in keywords:
        if key in own and key in TrainSettings.model_fields:
            raise RecipeError(
                f"'{key}' is a training setting and a hyper-parameter of {name}",
                f"method '{name}'",
                f"give the settings apart: settings=TrainSettings(steps={steps}); "
                f"{key}={keywords[key]!r} beside it is the method's",
            )
    training = {k: v for k, v in keywords.items() if k in TrainSettings.model_fields}
    rest = {k: v for k, v in keywords.items() if k not in training}
    return named_method(name, rest, _IN_SETTINGS), TrainSettings.of(**{"steps": steps, **training})


def fitted(settings: TrainSettings, model: Model) -> TrainSettings:
    """Returns settings that train all of a model where their default names no part of it."""
    if "parts" in settings.model_fields_set or {*settings.parts} & {*model.parts}:
        return settings
    return settings.model_copy(update={"parts": model.parts})


def divide_sides(
    name: str, dataset: Any, sides: Mapping[str, Any]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Tells rows of a side from a hyper-parameter of the same name.

    Beside a dataset `retain="kl"` is a hyper-parameter of the methods that have one.

    Args:
        name: Name of the method.
        dataset: Rows of all sides; None where each has an argument of its own.
        sides: Values of those arguments, None where one is not given.

    Returns:
        Rows by side, and hyper-parameters by name.

    Raises:
        RecipeError: A word is given in the place of rows.
    """
    own = METHODS.named(name).model_fields
    given = {side: value for side, value in sides.items() if value is not None}
    words = [side for side, value in given.items() if side in own and isinstance(value, str)]
    if dataset is None and words:
        raise RecipeError(
            f"'{words[0]}' is an argument of rows and a hyper-parameter of {name}",
            f"method '{name}'",
            'give the rows as one dataset, {"forget": ROWS, "retain": ROWS}; '
            f"{words[0]}={given[words[0]]!r} beside it is the method's",
        )
    if dataset is None:
        return given, {}
    own_values = {side: given[side] for side in words}
    return {side: rows for side, rows in given.items() if side not in words}, own_values
