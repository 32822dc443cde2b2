"""Vision-language models, with the frozen tower's features computed once per image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from clearbench.batches.batch import Batch
from clearbench.models.token_model import TokenModel
from clearbench.models.weights import digest


class VisionLanguageModel(TokenModel):
    """An image-text model. LLaVA-like towers are cached while nothing in them can learn.

    Each image's features are computed alone, so their bytes do not depend on which batch asked
    first and a resumed run equals one never stopped.
    """

    kind = "vision-language"

    def __init__(self, module: Any, processor: Any) -> None:
        super().__init__(module, processor)
        self._features: dict[str, Tensor] = {}
        self._held: tuple[Mapping[str, Tensor], dict[str, Tensor]] = ({}, {})

    def _eyes(self, batch: Batch) -> AbstractContextManager[None]:
        return self._stored_tower(batch) if batch.images and self._cacheable else nullcontext()

    @contextmanager
    def _stored_tower(self, batch: Batch) -> Iterator[None]:
        """While entered, the tower answers with this batch's stored features.

        A guard reads the prompts before the answers are, so it is entered inside itself.
        """
        tower, layer = self.core.model.vision_tower, self.core.config.vision_feature_layer
        states = {layer: self.features(batch)}  # LLaVA only reads states[layer]
        answer = BaseModelOutput(hidden_states=states)  # type: ignore[arg-type]
        before = vars(tower).get("forward")
        tower.forward = lambda *_, **__: answer
        try:
            yield
        finally:
            if before is None:
                del tower.forward
            else:
                tower.forward = before

    @property
    def _cacheable(self) -> bool:
        core = self.core
        return isinstance(core, LlavaForConditionalGeneration) and not any(
            parameter.requires_grad for parameter in core.model.vision_tower.parameters()
        )

    def train_only(self, parts: Sequence[str]) -> None:
        """As in `Model`; a tower that may change leaves its stored features behind."""
        super().train_only(parts)
        if not self._cacheable:
            self._features = {}

    @contextmanager
    def holding(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """As in `Model`; another tower's features are kept apart."""
        own = self._features
        if any(self.part_of(name) == "vision" for name in weights):
            if self._held[0] is not weights:
                self._held = (weights, {})
            self._features = self._held[1]
        try:
            with super().holding(weights):
                yield
        finally:
            self._features = own

    def share_features(self, store: dict[str, dict[str, Tensor]]) -> None:
        """Uses features that another model with the same tower weights has left in `store`."""
        if isinstance(self.core, LlavaForConditionalGeneration):
            tower = digest(self.core.model.vision_tower.state_dict())
            self._features = store.setdefault(tower, {})

    @torch.no_grad()
    def features(self, batch: Batch) -> Tensor:
        """(images, tokens, width) hidden states of the frozen tower."""
        tower, layer = self.core.model.vision_tower, self.core.config.vision_feature_layer
        for place, key in enumerate(batch.images):
            if key not in self._features:
                pixels = batch.inputs["pixel_values"][place : place + 1]
                out = tower(pixels, output_hidden_states=True)
                self._features[key] = out.hidden_states[layer]
        return torch.cat([self._features[key] for key in batch.images])
