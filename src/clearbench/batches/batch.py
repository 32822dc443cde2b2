"""Batches: padded model inputs and the positions of the answer tokens in the output."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clearbench.batches.items import Item
from clearbench.batches.trees import Tree


@dataclass(frozen=True)
class Batch:
    """What the model eats, and where in what comes out the answers are.

    Attributes:
        inputs: Tensors for `forward`; `input_ids` is (rows, length) for text.
        places: (tokens,) for every answer token, the flat position (row * length + column) that
            predicts it; for classifiers the row.
        targets: (tokens,) the token, or label, that stands there.
        owners: (tokens,) which item each token belongs to.
        items: What is answered; several items may share a row.
        images: Keys of the images, in the order of the image tensors.
        trees: What it was collated from; none where its images were replaced.
    """

    inputs: dict[str, Tensor]
    places: Tensor
    targets: Tensor
    owners: Tensor
    items: tuple[Item, ...]
    images: tuple[str, ...] = ()
    trees: tuple[Tree, ...] = ()

    def showing(self, pixels: Tensor) -> Batch:
        """The same questions about other images, given as the network takes them."""
        return replace(self, inputs=self.inputs | {"pixel_values": pixels}, images=(), trees=())

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            inputs={name: tensor.to(device) for name, tensor in self.inputs.items()},
            places=self.places.to(device),
            targets=self.targets.to(device),
            owners=self.owners.to(device),
        )
