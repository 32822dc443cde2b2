"""Classifiers that name the person in an image, or in other media."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.collate import answer_tokens, joined, media_keys
from clearbench.batches.items import Encoded, Item
from clearbench.batches.trees import Tree, merge
from clearbench.data.modality import modality
from clearbench.errors import ModelError
from clearbench.models.adapters import save_module
from clearbench.models.base import Model
from clearbench.models.cache import WorkCache
from clearbench.models.families.base import accepted


class Classifier(Model):
    """A `transformers` classifier over people; `config.id2label` holds their names.

    A label counts as an answer of one token, so every loss is the same as for text. Media of a
    person without a label can be read; they have no answer token.
    """

    kind = "classifier"

    def __init__(self, module: Any, processor: Any) -> None:
        super().__init__(module, processor)
        self.labels = {name: int(index) for index, name in module.config.id2label.items()}

    def share(self, cache: WorkCache, source: str) -> None:
        """Uses a common cache, as in `Model`."""
        super().share(cache, source)
        self._scope = ("media", source)

    def accepts(self, item: Item) -> bool:
        """Whether it can score an item: media of its modality whose answer is one of the labels."""
        return item.media is not None and self._reads(item) and item.answer in self.labels

    def _reads(self, item: Item) -> bool:
        return self.core.main_input_name in modality(item.track).inputs

    def media(self, item: Item) -> dict[str, Tensor]:
        """Processes one item's media to tensors with a first dimension of 1, once per content."""
        media = item.media
        if media is None or not self._reads(item):
            fix = f"give this classifier rows with its '{self.core.main_input_name}' only"
            what = "a row has no picture" if media is None else f"it cannot read {item.track} rows"
            raise ModelError(what, item.row, fix)

        def encoded() -> dict[str, Tensor]:
            out = self.family.encode_media(self.processor, modality(item.track), media)
            tensors = {n: value for n, value in out.items() if isinstance(value, Tensor)}
            return accepted(self.core, tensors)

        return self.cache.get((*self._scope, media.key), encoded)

    def tree(self, items: Sequence[Item]) -> Tree:
        """Builds a tree: one item's media as root, every label asked for as a token after it."""
        tensors = self.media(items[0])
        asked = [(0, self.labels[i.answer]) if i.answer in self.labels else (0,) for i in items]
        return merge(items, [Encoded(ids, 1, tensors) for ids in asked])

    def collate(self, trees: Sequence[Tree]) -> tuple[Batch, ...]:
        """Builds one batch of media and labels."""
        inputs = joined([tree.tensors for tree in trees])
        tokens = answer_tokens(trees, range(len(trees)))
        items = tuple(item for tree in trees for item in tree.items)
        return (Batch(inputs, *tokens, items, media_keys(trees), tuple(trees)).to(self.device),)

    def answers(self, batches: Sequence[Batch]) -> Answers:
        """Computes one logit row per label asked for."""
        self.forwards += len(batches)
        parts = []
        for batch in batches:
            (logits,) = self.logits(batch, batch.places)
            parts.append(Answers(logits, batch.targets, batch.owners, batch.items, self.margin))
        return Answers.join(parts)

    def logits(self, batch: Batch, places: Tensor) -> Iterator[Tensor]:
        """Yields (labels, classes) logits at the given rows."""
        yield self.module(**batch.inputs).logits[places].float()

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """Computes feature maps after a stage, or a transformer's tokens after a layer."""
        out = self.core.base_model(**batch.inputs, output_hidden_states=True)
        states: Tensor = out.hidden_states[layer]
        return states

    def embed(self, batch: Batch) -> Tensor:
        """Computes (rows, width) features of a whole row under the head: pooled, or a token's."""
        features = self.family.pooled(self.core, self.core.base_model(**batch.inputs))
        embedded = getattr(self.core, "embedded", None)
        return features if embedded is None else embedded(features)

    @property
    def margin(self) -> float:
        """Number subtracted from the true label's logit in teaching; 0 without such a head."""
        config = self.core.config
        return float(getattr(config, "scale", 0.0) * getattr(config, "margin", 0.0))

    @property
    def depth(self) -> int:
        """Number of stages, or layers, of the backbone."""
        config = self.core.base_model.config
        return len(getattr(config, "hidden_sizes", ())) or int(config.num_hidden_layers)

    def states(self, batches: Sequence[Batch], layer: int) -> Tensor:
        """Computes (labels, width) image-averaged features after a stage; `embed` at the last.

        Those of the last stage are called embeddings in CLEAR's vision track.
        """
        if not 1 <= layer <= self.depth:
            raise ModelError(f"no stage {layer}", "layer", f"this model has 1 to {self.depth}")
        self.forwards += len(batches)
        return torch.cat([self._features(batch, layer)[batch.places] for batch in batches])

    @torch.no_grad()
    def prompt_states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """Computes (images, width) pooled features: the image is the whole question."""
        self.forwards += 1
        return self._features(batch, self.depth if layer is None else layer)

    def _features(self, batch: Batch, layer: int) -> Tensor:
        """Computes (images, width) features; `states` repeats a row per label asked for."""
        if layer == self.depth:
            return self.embed(batch)
        maps = self.hidden(batch, layer)
        return maps.flatten(2).mean(-1) if maps.dim() == 4 else maps.mean(1)

    @property
    def pixel_range(self) -> tuple[Tensor, Tensor]:
        """Network inputs of black and white after the processor's normalisation."""
        moments = (self.processor.image_mean, self.processor.image_std)
        mean, std = (torch.tensor(item, device=self.device)[:, None, None] for item in moments)
        return -mean / std, (1 - mean) / std

    def name_tokens(self, names: Sequence[str]) -> Tensor:
        """Returns the labels of these people, (labels,)."""
        return torch.tensor([self.labels[name] for name in names], device=self.device)

    def save(self, folder: Path) -> None:
        """Writes weights and processor."""
        save_module(self.module, folder)
        self.processor.save_pretrained(folder)
