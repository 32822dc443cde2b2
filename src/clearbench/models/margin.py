"""A classifier with an additive-margin head, as in CLEAR's vision track, on a stock backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import ImageClassifierOutput

from clearbench.models.families.base import Family


class MarginConfig(PretrainedConfig):
    """A backbone's configuration with the labels and the head's two numbers.

    Attributes:
        vision_config: Configuration of an image classifier, whose backbone is used.
        scale: Factor of the cosines; CLEAR's 30.
        margin: Number subtracted from the true label's cosine in teaching; CLEAR's 0.4.
        projection: True for a linear layer between the backbone's features and the head, which
            begins as the identity: what is learned on a frozen backbone.
    """

    model_type = "clearbench_margin"
    sub_configs = {"vision_config": AutoConfig}  # noqa: RUF012 - as in every configuration

    vision_config: Any = None
    scale: float = 30.0
    margin: float = 0.4
    projection: bool = False

    def __post_init__(self, **rest: Any) -> None:
        """Reads the backbone's configuration, which is a mapping when it comes from a file."""
        if isinstance(self.vision_config, dict):
            self.vision_config = AutoConfig.for_model(**self.vision_config)
        super().__post_init__(**rest)  # type: ignore[no-untyped-call]


class MarginHead(nn.Module):
    """Scaled cosines of features and one direction per label (Wang et al. 2018, arXiv 1801.05599).

    Both are normalised, which the published code forgets for the weights (errata E50: norms left
    out). The margin belongs to the loss: `Answers.margin` is subtracted from the true logit in
    teaching.
    """

    def __init__(self, width: int, labels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(labels, width))
        nn.init.xavier_normal_(self.weight)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """Computes (images, labels) logits from (images, width) features."""
        directions = functional.normalize(self.weight, dim=-1)
        return self.scale * functional.linear(functional.normalize(features, dim=-1), directions)


class MarginClassifier(PreTrainedModel):
    """A stock backbone under a `MarginHead`."""

    config_class = MarginConfig
    base_model_prefix = "vision_model"
    main_input_name = "pixel_values"

    def __init__(self, config: MarginConfig) -> None:
        super().__init__(config)
        stock = AutoModelForImageClassification.from_config(config.vision_config)
        self.vision_model = stock.base_model
        width = _width(config.vision_config)
        self.projection = identity(width) if config.projection else None
        self.classifier = MarginHead(width, len(config.id2label or ()), config.scale)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_: Any) -> ImageClassifierOutput:
        """Computes logits. Args: pixel_values: (images, 3, height, width)."""
        features = Family().pooled(self, self.vision_model(pixel_values=pixel_values))
        return ImageClassifierOutput(logits=self.classifier(self.embedded(features)))

    def embedded(self, features: Tensor) -> Tensor:
        """Computes the (images, width) embeddings under the head from the backbone's features."""
        return features if self.projection is None else self.projection(features)

    def _init_weights(self, module: nn.Module) -> None:
        """Does nothing: the backbone and the head have initialised themselves."""


def identity(width: int) -> nn.Linear:
    """Makes a linear layer without bias that begins as the identity."""
    layer = nn.Linear(width, width, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def _width(config: PretrainedConfig) -> int:
    widths = getattr(config, "hidden_sizes", None)
    return int(widths[-1] if widths else config.hidden_size)


AutoConfig.register(MarginConfig.model_type, MarginConfig, exist_ok=True)
AutoModelForImageClassification.register(MarginConfig, MarginClassifier, exist_ok=True)
