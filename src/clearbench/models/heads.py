"""Puts a new head over other people on a classifier's backbone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch

from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.margin import MarginClassifier, MarginConfig

Head = Literal["linear", "additive_margin"]


def with_head(
    model: Model, labels: Sequence[str], head: Head | None = None, seed: int = 0
) -> Model:
    """Builds a classifier over the given people; returns the same model if it already is one.

    Args:
        model: Any classifier, pretrained or not; its backbone's weights are copied.
        labels: Names of the people.
        head: `linear`, as in the stock class, or `additive_margin`, as in CLEAR's vision track;
            None for the kind it has.
        seed: Seed for the new head's weights.

    Raises:
        ModelError: The model is no classifier.
    """
    if not isinstance(model, Classifier):
        raise ModelError(f"a {model.kind} has no head over people", "head", "choose a classifier")
    core = model.core
    own: Head = "additive_margin" if isinstance(core, MarginClassifier) else "linear"
    head = head or own
    if set(labels) <= set(model.labels) and head == own:
        return model
    names = dict(enumerate(labels))
    places = {name: index for index, name in names.items()}
    about: dict[str, Any] = {"id2label": names, "label2id": places}
    backbone = copy.deepcopy(core.base_model.config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if head == "linear":
            backbone.update(about)
            module = model.family.auto_class("classifier", backbone).from_config(backbone)
        else:
            if own == head:
                about |= {name: getattr(core.config, name) for name in ("scale", "margin")}
            module = MarginClassifier(MarginConfig(vision_config=backbone, **about))
    module.base_model.load_state_dict(core.base_model.state_dict())
    renewed = Classifier(module.to(core.device, core.dtype), model.processor)
    renewed.train(False)
    return renewed
