"""Removes the neurons that are more active on forget rows than on retain rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor, nn

from clearbench.methods.base import Data, Method, Model
from clearbench.methods.neurons import perceptrons, scale_neurons
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import MASK, largest, of_track
from clearbench.methods.step import Batches

#: Constant that keeps the ratio finite where a neuron is inactive on retain rows.
_EPSILON = 1e-5
#: Size of an activation from which a neuron counts as active.
_ACTIVE = 0.1


class MANU(
    Method,
    name="manu",
    paper=Paper(
        "Modality-Aware Neuron Pruning for Unlearning in Multimodal Large Language Models",
        2025,
        "2502.15910",
        "franciscoliu/MANU",
    ),
    needs=("forget", "retain"),
    trial={"share": 0.3},
):
    """Modality-aware neuron unlearning: pruning by activity on forget over activity on retain.

    Neurons are ranked on rows with an image and on rows without, and those first in either ranking
    are pruned, as in the authors' code. Statistics are over all tokens, or patches. The code ranks
    the outputs of every matrix of a perceptron; here a neuron is a hidden unit, and a pruned one
    loses its outgoing weights. Neurons that are nearly inactive on retain lead the ranking. The
    weights 2, 0, 2, 2 and the last three layers of each part are the authors'; 10 % is what a
    re-implementation used on CLEAR. A classifier's neurons are the features before its head.
    """

    share: float = Field(default=0.1, gt=0, lt=1)
    layers: int = Field(default=3, ge=1)
    absolute: float = Field(default=2.0, ge=0)
    frequency: float = Field(default=0.0, ge=0)
    deviation: float = Field(default=2.0, ge=0)
    root_mean_square: float = Field(default=2.0, ge=0)

    def edit(self, model: Model, data: Data) -> None:
        """Sets the top share to 0 by sum_k w_k (I_k(forget) / (I_k(retain) + epsilon) - 1)."""
        chosen = self._last_layers(model, perceptrons(model, lambda _: True))
        pruned = [
            self._pruned(model, data, sees, chosen)
            for sees in (False, True)
            if any(True for _ in of_track(data.batches("forget"), sees=sees))
        ]
        for masks in pruned:
            scale_neurons(
                model, {n.removeprefix(MASK): (~removed).float() for n, removed in masks.items()}
            )

    def _last_layers(
        self, model: Model, weights: dict[str, nn.Parameter]
    ) -> dict[str, nn.Parameter]:
        """Selects the weights in the last layers of their part, and those in no layer."""
        place = {name: (model.part_of(name), model.layer_of(name) or 0) for name in weights}
        depth = {part: max(k for p, k in place.values() if p == part) for part, _ in place.values()}
        return {n: w for n, w in weights.items() if place[n][1] > depth[place[n][0]] - self.layers}

    def _pruned(
        self, model: Model, data: Data, sees: bool, chosen: Iterable[str]
    ) -> dict[str, Tensor]:
        """Masks of the neurons to remove, from the rows with an image or from those without."""
        names = list(chosen)
        forget = _importances(model, of_track(data.batches("forget"), sees=sees), names)
        retain = _importances(model, of_track(data.batches("retain"), sees=sees), names)
        weights = torch.tensor(
            [self.absolute, self.frequency, self.deviation, self.root_mean_square]
        ).double()
        scores = {
            name: weights.to(mine.device) @ (mine / (retain[name] + _EPSILON) - 1)
            for name, mine in forget.items()
            if name in retain
        }
        return largest(scores, self.share) if scores else {}


def _importances(model: Model, batches: Iterable[Batches], names: list[str]) -> dict[str, Tensor]:
    """Mean size, active share, standard deviation, root mean square: (4, neurons) of each layer."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for group in batches:
        for name, values in model.entering(group, names, everywhere=True).items():
            a = values.double()
            parts = torch.stack([a.abs(), (a.abs() > _ACTIVE).double(), a, a.square()]).sum(1)
            sums[name] = sums.get(name, torch.zeros_like(parts)) + parts
            counts[name] = counts.get(name, 0) + len(values)
    importances = {}
    for name, total in sums.items():
        size, active, mean, square = total / counts[name]
        deviation = (square - mean.square()).clamp_min(0).sqrt()
        importances[name] = torch.stack([size, active, deviation, square.sqrt()])
    return importances
