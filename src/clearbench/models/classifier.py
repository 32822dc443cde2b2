"""Image classifiers that name the person in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clearbench.data.batches import Answers, Batch, Item
from clearbench.errors import ModelError
from clearbench.models.base import Model


class Classifier(Model):
    """A `transformers` image classifier over people; `config.id2label` holds their names.

    A label counts as an answer of one token, so every loss reads the same as for text.
    """

    kind = "classifier"

    def __init__(self, module: Any, processor: Any) -> None:
        self.module = module
        self.processor = processor
        self.labels = {name: int(index) for index, name in module.config.id2label.items()}
        self._pixels: dict[str, Tensor] = {}

    def accepts(self, each: Item) -> bool:
        """A picture whose answer is one of the labels."""
        return each.picture is not None and each.answer in self.labels

    def length(self, each: Item) -> int:
        """Every picture costs the same."""
        return 1

    def pixels(self, each: Item) -> Tensor:
        """(3, height, width) of one item, processed once."""
        if each.picture is None:
            raise ModelError("a row has no picture", each.row, "give a classifier image rows only")
        key = each.picture.key
        if key not in self._pixels:
            out = self.processor(images=each.picture.decode(), return_tensors="pt")
            self._pixels[key] = out["pixel_values"][0]
        return self._pixels[key]

    def batch(self, items: Sequence[Item]) -> tuple[Batch, ...]:
        """One batch of pixels and labels."""
        pixels = torch.stack([self.pixels(each) for each in items])
        labels = torch.tensor([self.labels[each.answer] for each in items])
        keys = tuple(each.picture.key for each in items if each.picture is not None)
        batch = Batch({"pixel_values": pixels}, labels, tuple(items), keys)
        return (batch.to(self.device),)

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """One logit row a picture."""
        self.forwards += len(batches)
        parts = []
        for batch in batches:
            logits = self.module(pixel_values=batch.inputs["pixel_values"]).logits
            rows = torch.arange(len(batch.items), device=logits.device)
            parts.append(Answers(logits.float(), batch.answer, rows, batch.items))
        return Answers.join(parts)

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Feature maps after a stage."""
        out = self.module(**batch.inputs, output_hidden_states=True)
        states: Tensor = out.hidden_states[layer]
        return states

    def embed(self, batch: Batch) -> Tensor:
        """(pictures, width) pooled features."""
        pooled: Tensor = self.module.base_model(**batch.inputs).pooler_output.flatten(1)
        return pooled

    def inputs(self, batch: Batch) -> Tensor:
        """Pixels as a leaf."""
        return batch.inputs["pixel_values"].detach().clone().requires_grad_(True)

    def save(self, folder: Path) -> None:
        """Weights and processor."""
        self.module.save_pretrained(folder)
        self.processor.save_pretrained(folder)
