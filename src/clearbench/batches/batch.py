"""Holds padded model inputs and the positions of the answer tokens in the output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clearbench.batches.items import Item
from clearbench.batches.trees import Tree
from clearbench.libraries import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Model inputs, and the flat logit positions, targets and items of every answer token.

    Attributes:
        inputs: Tensors for `forward`; `input_ids` is (rows, length) for text.
        places: Flat position (row * length + column) of the logits that predict each answer
            token, (tokens,); for classifiers the row.
        targets: Token, or label, to predict at each place, (tokens,).
        owners: Index of the item that each answer token belongs to, (tokens,).
        items: Items of the batch; several may share a row.
        media: Keys of the media, in the order of their tensors.
        trees: Trees it was collated from; none where its media were replaced, or it is read whole.
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
        """Name of the modality of its media; `text` without media."""
        return self.items[0].medium if self.media else "text"

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the inputs that hold a further integer per token."""
        return tuple(dict.fromkeys(name for tree in self.trees for name in tree.extras))

    @property
    def begins(self) -> Tensor:
        """Whether each answer token is the first of its item, (tokens,); tokens are in order."""
        begins = torch.ones_like(self.owners, dtype=torch.bool)
        begins[1:] = self.owners[1:] != self.owners[:-1]
        return begins

    def showing(self, pixels: Tensor) -> Batch:
        """Replaces the images, given as the network takes them, and keeps the questions."""
        return replace(self, inputs=self.inputs | {"pixel_values": pixels}, media=(), trees=())

    def whole(self) -> Batch:
        """Returns a batch that is read in one pass, for those who look at what its layers do."""
        return replace(self, trees=())

    def to(self, device: torch.device) -> Batch:
        """Moves the batch to another device."""
        return replace(
            self,
            inputs={name: tensor.to(device) for name, tensor in self.inputs.items()},
            places=self.places.to(device),
            targets=self.targets.to(device),
            owners=self.owners.to(device),
        )
