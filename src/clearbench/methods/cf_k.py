"""Fine-tunes only the last layers on the retain rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.methods.base import Model, Stage, Train
from clearbench.methods.paper import Paper
from clearbench.methods.retain_finetune import RetainFinetune

if TYPE_CHECKING:
    from torch import Tensor


def last_layers(weights: Mapping[str, Tensor], count: int) -> set[str]:
    """Finds the names of the weights from the `count`-th last layer on, in order of definition.

    As in the authors' code a layer is one linear map or convolution; weights between two of them,
    such as a normalisation's, belong to the one before. A transformer block has several.
    """
    owners = [name.partition(".lora_")[0].removesuffix(".weight") for name in weights]
    pairs = zip(owners, weights.values(), strict=True)
    layers = list(dict.fromkeys(owner for owner, weight in pairs if weight.dim() > 1))
    first = layers[-min(count, len(layers))]
    return set(list(weights)[owners.index(first) :])


class CFk(
    RetainFinetune,
    name="cf_k",
    paper=Paper(
        "Towards Adversarial Evaluations for Inexact Machine Unlearning",
        2022,
        "2201.06640",
        "shash42/Evaluating-Inexact-Unlearning",
    ),
    needs=("retain",),
    forget_loss=None,
):
    """Catastrophic forgetting of the last k layers: fine-tuning of those on the retain set.

    k is 3 in experiments on faces (MUFAC); the authors go from 1 to 7 on CIFAR-10. A head that
    shares the embedding's weights is no last layer.
    """

    k: int = Field(default=3, ge=1)

    def stages(self) -> Sequence[Stage]:
        """One stage, which trains the last k layers."""
        return (Train(self.loss, parameters=self.learns),)

    def learns(self, model: Model, name: str) -> bool:
        """Whether a weight lies in the last k layers."""
        return name in last_layers(model.trainable(), self.k)
