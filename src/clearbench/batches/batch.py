"""Batches: padded model inputs and the positions of the answer tokens in the output."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clearbench.batches.items import Item
from clearbench.batches.trees import Tree


@dataclass(frozen=True)
class Batch:
    """Model inputs, and the flat logit positions, targets and items of every answer token.

    Attributes:
        inputs: Tensors for `forward`; `input_ids` is (rows, length) for text.
        places: (tokens,) flat position (row * length + column) of the logits that predict each
            answer token; for classifiers the row.
        targets: (tokens,) token, or label, to predict there.
        owners: (tokens,) index of the item that each answer token belongs to.
        items: Items of the batch; several may share a row.
        media: Keys of the media, in the order of their tensors.
        trees: Trees it was collated from; none where its media were replaced.
    """

    inputs: dict[str, Tensor]
    places: Tensor
    targets: Tensor
    owners: Tensor
    items: tuple[Item, ...]
    media: tuple[str, ...] = ()
    trees: tuple[Tree, ...] = ()

    @property
    def medium(self) -> str:
        """Name of the modality whose media it holds; `text` where it holds none."""
        return self.items[0].medium if self.media else "text"

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the inputs that hold a further integer for each token."""
        return tuple(dict.fromkeys(name for tree in self.trees for name in tree.extras))

    def showing(self, pixels: Tensor) -> Batch:
        """The same questions about other images, given as the network takes them."""
        return replace(self, inputs=self.inputs | {"pixel_values": pixels}, media=(), trees=())

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return replace(
            self,
            inputs={name: tensor.to(device) for name, tensor in self.inputs.items()},
            places=self.places.to(device),
            targets=self.targets.to(device),
            owners=self.owners.to(device),
        )
