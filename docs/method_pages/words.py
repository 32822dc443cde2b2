"""Words settings and numbers of docs/methods/."""

from __future__ import annotations

import math

from claims.figures import Estimate

from clearbench.methods.base import Train, method
from method_pages.measured import Setting


def trains(setting: Setting) -> bool:
    """Whether the method trains; an edit or a guard does not."""
    stages = method(setting.method, **setting.hyperparameters).stages()
    return any(isinstance(stage, Train) for stage in stages)


def short(setting: Setting) -> str:
    """The learning rate and the hyper-parameters: `learning rate 0.0009, retain_weight 3.8`."""
    values: list[tuple[str, object]] = list(setting.hyperparameters.items())
    if trains(setting):
        values = [("learning rate", setting.training.learning_rate), *values]
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values
    )


def mean(estimate: Estimate | None) -> str:
    """The mean alone; nothing where there is none."""
    return number(estimate.mean if estimate else None)


def interval(estimate: Estimate | None) -> str:
    """The mean with its interval: `0.53 (0.40 to 0.66)`."""
    if estimate is None or math.isinf(estimate.high):
        return mean(estimate)
    return f"{estimate.mean:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def number(value: float | None, decimals: int = 2) -> str:
    """A number; nothing where there is none."""
    return "" if value is None else f"{value:.{decimals}f}"
