"""Weakens the neurons that are more active on forget rows than on retain rows."""

from __future__ import annotations

from pydantic import Field

from clearbench.methods.base import Data, Method, Model
from clearbench.methods.neurons import neuron_means, perceptrons, scale_neurons
from clearbench.methods.paper import Paper

_TINY = 1e-12
_SIZE = {"size": abs}


class KVW(
    Method,
    name="kvw",
    paper=Paper(
        "Knowledge Vector Weakening: Efficient Training-free Unlearning for Large Vision-Language "
        "Models",
        2026,
        "2601.21794",
        "kyj93790/KVW",
    ),
    needs=("forget", "retain"),
    trial={"gamma": 1.0},
):
    """Knowledge vector weakening: columns of the down projections are scaled, without gradients.

    A neuron's coefficient K is the mean size of its activation where answer tokens are predicted.
    The gates multiply with every forget batch, so the strength depends on how many there are
    (errata E124: the same in the published code). `gamma` 0.02 and 5 passes are the authors'
    defaults; their script for CLEAR makes one pass over single rows. A classifier's neurons are the
    features before its head.

    Attributes:
        first: Lowest layer that is weakened, from 1; the authors leave out the first.
        last: Highest layer; None leaves out two of 28 layers, as they do, in proportion.
    """

    gamma: float = Field(default=0.02, ge=0)
    epochs: int = Field(default=5, ge=1)
    first: int = Field(default=2, ge=1)
    last: int | None = Field(default=None, ge=1)

    def edit(self, model: Model, data: Data) -> None:
        """W <- W diag(exp(-gamma max(0, log K_forget - log K_retain))), per forget batch."""
        names = list(perceptrons(model, lambda name: self._weakens(model, name)))
        retain = neuron_means(model, data.batches("retain"), names, _SIZE)["size"]
        for _ in range(self.epochs):
            for batches in data.batches("forget"):
                forget = neuron_means(model, [batches], names, _SIZE)["size"]
                excess = {n: (forget[n] + _TINY).log() - (retain[n] + _TINY).log() for n in names}
                gates = {n: (-self.gamma * e.clamp_min(0)).exp() for n, e in excess.items()}
                scale_neurons(model, gates)

    def _weakens(self, model: Model, name: str) -> bool:
        """Whether a weight lies in the layers that are weakened."""
        if model.kind == "classifier":
            return True
        last = round(model.depth * 26 / 28) if self.last is None else self.last
        layer = model.layer_of(name)
        return (
            model.part_of(name) == "language" and layer is not None and self.first <= layer <= last
        )
