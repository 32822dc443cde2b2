"""Trains the last layers again from random weights on the retain rows."""

from __future__ import annotations

from collections.abc import Sequence

from clearbench.libraries import without_gradient
from clearbench.methods.base import Data, Edit, Model, Stage
from clearbench.methods.cf_k import CFk, last_layers
from clearbench.methods.paper import Paper


class EUk(
    CFk,
    name="eu_k",
    paper=Paper(
        "Towards Adversarial Evaluations for Inexact Machine Unlearning",
        2022,
        "2201.06640",
        "shash42/Evaluating-Inexact-Unlearning",
    ),
    needs=("retain",),
    forget_loss="up",
):
    """Exact unlearning of the last k layers: new initial weights, then training on retain.

    Exact for those layers only: the ones below were trained on the forgotten people. Batch
    statistics stay as they are. It needs as many steps as the layers' first training. `k` is that
    of `cf_k`.
    """

    def stages(self) -> Sequence[Stage]:
        """Two stages: initialise the last layers, then train them."""
        return (Edit(self.initialise), *super().stages())

    @without_gradient
    def initialise(self, model: Model, data: Data) -> None:
        """Replaces the last k layers by those of an untrained model."""
        weights = model.trainable()
        untrained = dict(model.untrained(data.seed).module.named_parameters())
        for name in last_layers(weights, self.k):
            weights[name].copy_(untrained[name])
