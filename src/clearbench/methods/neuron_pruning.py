"""Removes the neurons that are important on forget rows and unimportant on retain rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from clearbench.batches.kind import Kind
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model
from clearbench.methods.neurons import neuron_means, perceptrons, scale_neurons
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import MASK, largest
from clearbench.methods.step import State

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_KINDS: tuple[Kind, ...] = ("language", "vision-language")
#: The means that each measure of importance is made from.
_MEANS: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": abs,
    "frequency": lambda values: (values > 0).float(),
    "mean": lambda values: values,
    "square": lambda values: values.square(),
}
#: Constant that keeps the score of a neuron finite that is inactive on retain rows.
_QUIET = 1e-5


class NeuronPruning(
    Method,
    name="neuron_pruning",
    paper=Paper(
        "Dissecting Language Models: Machine Unlearning via Selective Pruning",
        2024,
        "2403.01267",
        "nickypro/selective-pruning",
    ),
    kinds=TOKEN_KINDS,
    needs=("forget", "retain"),
    status="adapted",
    trial={"share": 0.2},
):
    """Selective pruning: neurons are ranked by importance on forget over importance on retain.

    Importance is the mean size of the activation (`abs`), the share that is positive (`frequency`),
    its root mean square (`rms`) or its standard deviation (`std`), at the places from which answer
    tokens are predicted; on the questions forget and retain rows hardly differ. One ranking goes
    over all layers. 2 % a round is the paper's, which measures again before each of up to 50
    rounds; the default here is one. Attention neurons, whose pruning the paper finds less
    selective, stay.
    """

    share: float = Field(default=0.02, gt=0, lt=1)
    importance: Literal["abs", "frequency", "rms", "std"] = "abs"
    rounds: int = Field(default=1, ge=1)

    def edit(self, model: Model, data: Data) -> None:
        """Neurons whose I(forget) / (I(retain) + epsilon) is among the largest become 0."""
        names = list(perceptrons(model, lambda name: model.part_of(name) == "language"))
        kept: State = {}
        for _ in range(self.rounds):
            forget = self._important(model, data, "forget", names)
            retain = self._important(model, data, "retain", names)
            ratios = {name: forget[name] / (retain[name] + _QUIET) for name in forget}
            left = {n: ratio * kept.get(n, torch.ones_like(ratio)) for n, ratio in ratios.items()}
            chosen = largest(left, self.share)
            kept = {n: (left[n] > 0) & ~chosen[MASK + n] for n in left}
            scale_neurons(model, {name: mask.float() for name, mask in kept.items()})

    def _important(self, model: Model, data: Data, role: str, names: list[str]) -> State:
        """The (neurons,) importance on the rows of a role, by weight."""
        means = neuron_means(model, data.batches(role), names, _MEANS)
        if self.importance in means:
            return means[self.importance]
        squares, centres = means["square"], means["mean"]
        shift = 1.0 if self.importance == "std" else 0.0
        spread = {n: squares[n] - shift * centres[n].square() for n in squares}
        return {name: value.clamp_min(0).sqrt() for name, value in spread.items()}
