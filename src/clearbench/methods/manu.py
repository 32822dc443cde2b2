"""Removes the neurons that are more active on forget rows than on retain rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from clearbench.errors import RecipeError
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model
from clearbench.methods.neurons import perceptrons, scale_neurons
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import MASK, largest
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor, nn

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
    status="adapted",
    trial={"share": 0.3, "rankings": "all"},
):
    """Modality-aware neuron unlearning: pruning by activity on forget over activity on retain.

    As in the authors' code, neurons of the vision part are ranked on rows with an image alone and
    neurons of the language part on rows without, so that the projector keeps all of its own. A
    recipe that forgets images therefore trains the part `vision`, or ranks otherwise. A
    classifier's neurons are the features before its head.

    Departures: the code ranks the outputs of every matrix of a perceptron; here a neuron is a
    hidden unit, and a pruned one loses its outgoing weights. Its statistics are over rows at each
    place, padding included, then over places; here over all tokens, or patches. Its score of a
    layer is pooled over all layers (errata E142); here it is the layer's own. It reads as many
    retain batches as there are forget batches; here all are read. Neurons that are
    nearly inactive on retain lead the ranking. 2 %, the weights 2, 0, 2, 2 and the last three
    layers of each part are the authors' code's.

    Attributes:
        share: Share of the neurons of a ranking that are pruned, over all of its layers together.
        layers: Number of last layers of each part that are ranked.
        rankings: `by_part`, as published; or `all`: every part's neurons are in both rankings, and
            those first in either are pruned.
    """

    share: float = Field(default=0.02, gt=0, lt=1)
    layers: int = Field(default=3, ge=1)
    absolute: float = Field(default=2.0, ge=0)
    frequency: float = Field(default=0.0, ge=0)
    deviation: float = Field(default=2.0, ge=0)
    root_mean_square: float = Field(default=2.0, ge=0)
    rankings: Literal["by_part", "all"] = "by_part"

    def edit(self, model: Model, data: Data) -> None:
        """Sets the top share to 0 by sum_k w_k (I_k(forget) / (I_k(retain) + epsilon) - 1)."""
        chosen = self._last_layers(model, perceptrons(model, lambda _: True))
        pruned = [
            self._pruned(model, data, sees, self._ranked(model, sees, chosen))
            for sees in (False, True)
            if any(True for _ in data.batches("forget", sees=sees))
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

    def _ranked(self, model: Model, sees: bool, chosen: Iterable[str]) -> list[str]:
        """Selects the matrices whose neurons rows with an image, or rows without, rank."""
        part, rows = ("vision", "with") if sees else ("language", "without")
        names = [n for n in chosen if self.rankings == "all" or model.part_of(n) == part]
        if not names:
            raise RecipeError(
                f"rows {rows} an image rank no neuron: the weights that may learn have no "
                f"perceptron in the part `{part}`",
                "train.parts",
                f"add `{part}`, or choose `rankings: all`",
            )
        return names

    def _pruned(self, model: Model, data: Data, sees: bool, names: list[str]) -> dict[str, Tensor]:
        """Masks of the neurons to remove, from the rows with an image or from those without."""
        forget = _importances(model, data.batches("forget", sees=sees), names)
        retain = _importances(model, data.batches("retain", sees=sees), names)
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
