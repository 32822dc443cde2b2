"""Keeps the moving average of the retain gradient from step to step, for a rule that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from clearbench.errors import RecipeError
from clearbench.methods.rules import AVERAGE
from clearbench.methods.step import State

#: Gradients of terms, by name: a tensor for every trained weight.
Gradients = Mapping[str, Sequence[Tensor]]
_KEY = f"{AVERAGE}|"


class RetainAverage:
    """The moving average m <- share g_R + (1 - share) m, from m = 0.

    It takes as much memory as the trained weights.

    Args:
        share: Weight of the newest gradient.
        weights: Names of the trained weights, in the order of the gradients.
    """

    def __init__(self, share: float, weights: Sequence[str]) -> None:
        self._share = share
        self._weights = weights
        self._values: list[Tensor] = []

    @property
    def state(self) -> State:
        """The average, for a checkpoint."""
        return {_KEY + n: value for n, value in zip(self._weights, self._values, strict=False)}

    def restore(self, state: State) -> None:
        """Continues from a checkpoint's state."""
        self._values = [state[_KEY + name] for name in self._weights if _KEY + name in state]

    def __call__(self, gradients: Gradients) -> Gradients:
        """Moves the average by a step's retain gradient and adds it to the gradients."""
        if "retain" not in gradients:
            raise RecipeError(
                "an average of retain gradients needs a term 'retain'",
                "rule",
                f"the method's terms are: {', '.join(gradients)}",
            )
        newest = [self._share * part for part in gradients["retain"]]
        before = self._values
        self._values = (
            [new + (1 - self._share) * old for new, old in zip(newest, before, strict=True)]
            if before
            else newest
        )
        return {**gradients, AVERAGE: self._values}
