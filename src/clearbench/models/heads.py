"""Puts a new head over other people on a classifier's backbone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.head import Head
from clearbench.models.margin import MarginClassifier, MarginConfig


def head_of(core: Any) -> Head:
    """Names the kind of head of a classifier's module."""
    if not isinstance(core, MarginClassifier):
        return "linear"
    return "projected_margin" if core.config.projection else "additive_margin"


def with_head(
    model: Model, labels: Sequence[str], head: Head | None = None, seed: int = 0
) -> Model:
    """Builds a classifier over the given people; returns the same model if it already is one.

    Args:
        model: Any classifier, pretrained or not; its backbone's weights are copied.
        labels: Names of the people.
        head: `linear`, as in the stock class, `additive_margin`, as in CLEAR's vision track, or
            `projected_margin`: the same with a linear layer under it, which can be taught people
            while the backbone is frozen (part `projector`); None for the kind it has.
        seed: Seed for the new head's weights.

    Raises:
        ModelError: The model is no classifier.
    """
    if not isinstance(model, Classifier):
        raise ModelError(f"a {model.kind} has no head over people", "head", "choose a classifier")
    core = model.core
    own = head_of(core)
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
            if own != "linear":
                about |= {name: getattr(core.config, name) for name in ("scale", "margin")}
            about["projection"] = head == "projected_margin"
            module = MarginClassifier(MarginConfig(vision_config=backbone, **about))
    module.base_model.load_state_dict(core.base_model.state_dict())
    renewed = Classifier(module.to(core.device, core.dtype), model.processor)
    renewed.train(False)
    return renewed
