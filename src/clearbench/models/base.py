"""One face for language models, vision-language models and image classifiers."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from clearbench.data.batches import Answers, Batch, Item, Kind

Part = Literal["vision", "projector", "language"]

#: Projector first: some families keep it inside the vision module.
PART_PATTERNS: dict[Part, re.Pattern[str]] = {
    "projector": re.compile(
        r"(multi_modal_projector|merger|connector|modality_projection|aligner|resampler)"
    ),
    "vision": re.compile(
        r"(vision_tower|vision_model|visual|vision_encoder|resnet|vit|classifier)"
    ),
}


class Model(ABC):
    """A `transformers` model with what unlearning and measuring need from it.

    Attributes:
        module: The `torch` module that is trained and saved (with adapters, if there are any).
        kind: `language`, `vision-language` or `classifier`.
        forwards: Batches that `answers` has seen, for the cost of a run.
    """

    kind: ClassVar[Kind]
    module: Any
    forwards: int = 0

    @abstractmethod
    def batch(self, items: Sequence[Item]) -> tuple[Batch, ...]:
        """Encodes items into padded batches, one for those with a picture and one for the rest."""

    @abstractmethod
    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Logits on the answer tokens only, with gradient."""

    @abstractmethod
    def length(self, each: Item) -> int:
        """Tokens of an item, for cutting batches by a token budget."""

    @abstractmethod
    def accepts(self, each: Item) -> bool:
        """Whether the model can score this item."""

    @abstractmethod
    def embed(self, batch: Batch) -> Tensor:
        """(rows, width) pooled last hidden states."""

    @abstractmethod
    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Hidden states after a layer; (rows, length, width) for token models."""

    @abstractmethod
    def inputs(self, batch: Batch) -> Tensor:
        """What enters the network as a leaf with gradient: pixels, or token embeddings."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes weights (safetensors), configuration and processor."""

    @torch.no_grad()
    def score(self, batch: Batch) -> list[Tensor]:
        """Per row, the (tokens,) log-probabilities of its answer."""
        answers = self.answers([batch.to(self.device)])
        log_probs = answers.log_probs
        return [log_probs[answers.rows == row] for row in range(len(batch.items))]

    def generate(self, items: Sequence[Item], max_new_tokens: int = 40) -> list[str]:
        """Greedy answers to the items' questions."""
        raise NotImplementedError(f"a {self.kind} does not generate text")

    def duplicate(self) -> Self:
        """A second model with the same weights; changing one leaves the other as it is."""
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module)
        return twin

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.module.parameters()).device
        return device

    def part_of(self, parameter: str) -> Part:
        """Which part of the model a parameter or module path belongs to."""
        for part, pattern in PART_PATTERNS.items():
            if pattern.search(parameter):
                return part
        return "language"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts this model has."""
        found = {self.part_of(name) for name, _ in self.module.named_parameters()}
        return tuple(part for part in ("vision", "projector", "language") if part in found)

    def train_only(self, parts: Sequence[str]) -> None:
        """Lets the given parts learn and freezes the others. Adapters follow their part."""
        adapted = any("lora_" in name for name, _ in self.module.named_parameters())
        for name, parameter in self.module.named_parameters():
            chosen = self.part_of(name) in parts
            parameter.requires_grad_(chosen and (not adapted or "lora_" in name))

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that learn, by name."""
        return {n: p for n, p in self.module.named_parameters() if p.requires_grad}

    @contextmanager
    def full(self, name: str) -> Iterator[Tensor]:
        """The whole weight of that name, written back on leaving."""
        weight = dict(self.module.named_parameters())[name]
        copy = weight.detach().clone()
        yield copy
        with torch.no_grad():
            weight.copy_(copy)

    def train(self, mode: bool = True) -> None:
        """Training mode, with batch statistics kept frozen: they would follow the forget set."""
        self.module.train(mode)
        for layer in self.module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
