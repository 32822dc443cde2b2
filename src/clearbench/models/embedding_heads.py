"""Classifiers over cached features: a projection and a margin head, one or many at once.

What lies under them, a frozen backbone, is read once per image. Many heads are one tensor program:
every parameter has a leading axis of models, and rows come model by model, so that the losses of
methods read them as more rows of one model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.data.modality import modality
from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.head import WEIGHTS
from clearbench.models.margin import MarginClassifier, MarginHead, identity
from clearbench.models.weights import digest

#: Number of images that the backbone reads at once.
IMAGES = 64


class HeadConfig(PretrainedConfig):
    """Sizes of a projection and a margin head.

    Attributes:
        width: Width of the features.
        scale: Factor of the cosines.
        margin: Number subtracted from the true label's cosine in teaching.
    """

    model_type = "clearbench_head"

    width: int = 1
    scale: float = 30.0
    margin: float = 0.4
    projection: bool = True


class EmbeddingHead(PreTrainedModel):
    """A projection and a `MarginHead` on given features."""

    config_class = HeadConfig
    base_model_prefix = "backbone"
    main_input_name = "features"

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.projection = identity(config.width)
        self.classifier = MarginHead(config.width, len(config.id2label or ()), config.scale)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, features: Tensor, **_: Any) -> ImageClassifierOutput:
        """Computes logits. Args: features: (images, width)."""
        return ImageClassifierOutput(logits=self.classifier(self.embedded(features)))

    def embedded(self, features: Tensor) -> Tensor:
        """Computes (images, width) embeddings."""
        embeddings: Tensor = self.projection(features)
        return embeddings

    def _init_weights(self, module: nn.Module) -> None:
        """Does nothing: the layers have initialised themselves."""


class StackedHeads(EmbeddingHead):
    """Many `EmbeddingHead`s: rows come model by model, as many for each."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.models = 1

    def stack(self, weights: Mapping[str, Tensor]) -> None:
        """Takes (models, ...) weights in place of its own.

        Args:
            weights: Weights of `projection.weight` and `classifier.weight`.
        """
        self.models = len(weights["projection.weight"])
        for name in ("projection", "classifier"):
            layer = getattr(self, name)
            layer.weight = nn.Parameter(weights[f"{name}.weight"].detach().clone())

    def forward(self, features: Tensor, **_: Any) -> ImageClassifierOutput:
        """Computes (models x rows, labels) logits of (models x rows, width) features."""
        embeddings = self._by_model(self.embedded(features))
        directions = functional.normalize(self.classifier.weight, dim=-1)
        cosines = functional.normalize(embeddings, dim=-1) @ directions.mT
        return ImageClassifierOutput(logits=(self.classifier.scale * cosines).flatten(0, 1))

    def embedded(self, features: Tensor) -> Tensor:
        """Computes (models x rows, width) embeddings."""
        embeddings: Tensor = self._by_model(features) @ self.projection.weight.mT
        rows: Tensor = embeddings.flatten(0, 1)
        return rows

    def _by_model(self, rows: Tensor) -> Tensor:
        by_model: Tensor = rows.unflatten(0, (self.models, -1))
        return by_model


@dataclass(frozen=True)
class Features:
    """Reads images through a frozen backbone, each content once.

    Attributes:
        backbone: Classifier whose backbone is read; its head is left out.
        known: Features (width,) by key of the image; added to.
    """

    backbone: Classifier
    known: dict[str, Tensor]

    def reads(self, item: Item) -> bool:
        """Whether the backbone can read an item's media."""
        return self.backbone.core.main_input_name in modality(item.track).inputs

    @torch.no_grad()
    def read(self, items: Sequence[Item]) -> Tensor:
        """Computes (items, width) features; those that are new, many at once."""
        missing = {i.media.key: i for i in items if i.media and i.media.key not in self.known}
        new = list(missing.values())
        for begin in range(0, len(new), IMAGES):
            chosen = new[begin : begin + IMAGES]
            for batch in self.backbone.batch(chosen):
                core = self.backbone.core
                with self.backbone.measured():
                    rows = self.backbone.family.pooled(core, core.base_model(**batch.inputs))
                found = zip(chosen, rows, strict=True)
                self.known.update({i.media.key: row for i, row in found if i.media})
        return torch.stack([self.known[i.media.key] for i in items if i.media])


class HeadModel(Classifier):
    """A classifier that reads cached features of images in place of the images.

    Args:
        module: Head, or stacked heads.
        features: Features of the images.
    """

    def __init__(self, module: EmbeddingHead, features: Features) -> None:
        super().__init__(module, features.backbone.processor)
        self.features = features

    @classmethod
    def of(cls, model: Classifier, features: Features) -> HeadModel:
        """Takes projection and head of a classifier, as they are.

        Raises:
            ModelError: It has no projection.
        """
        core = model.core
        if not isinstance(core, MarginClassifier) or core.projection is None:
            fix = "models.classifier.head: projected_margin"
            raise ModelError("a classifier has no projection under its head", "head", fix)
        about = {name: getattr(core.config, name) for name in ("scale", "margin", "id2label")}
        width = core.projection.in_features
        head = EmbeddingHead(HeadConfig(width=width, **about))
        head.projection.load_state_dict(core.projection.state_dict())
        head.classifier.load_state_dict(core.classifier.state_dict())
        head.to(device=core.device)  # type: ignore[call-arg]  # its stub lacks the signature
        return cls(head, features)

    @classmethod
    def new(cls, features: Features, seed: int) -> HeadModel:
        """Makes a head over the labels of the features' classifier, with weights by a seed."""
        like = cls.of(features.backbone, features).module.config
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = EmbeddingHead(like)
        head.to(device=features.backbone.device)  # type: ignore[call-arg]  # as in `of`
        return cls(head, features)

    @property
    def models(self) -> int:
        """Number of heads."""
        return int(getattr(self.module, "models", 1))

    def _reads(self, item: Item) -> bool:
        return self.features.reads(item)

    def media(self, item: Item) -> dict[str, Tensor]:
        """Returns one item's features with a first dimension of 1."""
        return {"features": self.features.read([item])}

    def batch(self, items: Sequence[Item]) -> tuple[Batch, ...]:
        """Builds one batch of features and labels, a row per item."""
        if any(item.media is None for item in items):
            raise ModelError("a row has no picture", "rows", "give this classifier pictures only")
        rows = self.features.read(items).to(self.device)
        places = torch.arange(len(items), device=self.device)
        labelled = torch.tensor([item.answer in self.labels for item in items], device=self.device)
        known = places[labelled]
        targets = [self.labels[item.answer] for item in items if item.answer in self.labels]
        answers = torch.tensor(targets, device=self.device, dtype=torch.long)
        keys = tuple(item.media.key for item in items if item.media)
        return (Batch({"features": rows}, known, answers, known, tuple(items), keys),)

    def embed(self, batch: Batch) -> Tensor:
        """Computes (rows, width) embeddings."""
        embeddings: Tensor = self.core.embedded(batch.inputs["features"])
        return embeddings

    @property
    def depth(self) -> int:
        """Number of stages: the projection alone."""
        return 1

    def save(self, folder: Path) -> None:
        """Writes the weights; the backbone is not part of them."""
        state = {name: value.contiguous() for name, value in self.module.state_dict().items()}
        save_file(state, folder / WEIGHTS)


@contextmanager
def on_features(
    model: Model,
    parts: Sequence[str],
    needs: Collection[str],
    known: Callable[[str], dict[str, Tensor]],
) -> Iterator[Model]:
    """Lets what trains a projection alone read each picture's features once, which is exact.

    Args:
        model: Any model; one that this is not exact for is trained as it is.
        parts: Parts that are trained.
        needs: Needs of the method: none of it changes pixels.
        known: Function from the digest of a backbone to features that are known of it.

    Yields:
        The model, or its head on features, whose weights the model has afterwards.
    """
    core = model.core
    projected = isinstance(core, MarginClassifier) and core.projection is not None
    exact = projected and core is model.module and {*parts} == {"projector"}
    if not exact or not isinstance(model, Classifier) or "pixels" in needs:
        yield model
        return
    features = Features(model, known(digest(core.base_model.state_dict())))
    head = HeadModel.of(model, features)
    try:
        yield head
    finally:
        for name in ("projection", "classifier"):
            getattr(core, name).load_state_dict(getattr(head.module, name).state_dict())
        model.train_only(parts)
        model.forwards, model.backwards = head.forwards, head.backwards
