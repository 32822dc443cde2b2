"""Teaches many heads on a frozen backbone, and makes them forget, at once where that is exact.

Each function gives the heads' stacked weights, (heads, ...) by name, of some heads at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from clearbench.data.dataset import Dataset
from clearbench.errors import RecipeError
from clearbench.methods.base import Method
from clearbench.models.base import Model
from clearbench.models.classifier import Classifier
from clearbench.models.embedding_heads import EmbeddingHead, Features, HeadModel, StackedHeads
from clearbench.models.head import SHADOW_HEAD, SHADOW_PARTS
from clearbench.models.heads import with_head
from clearbench.models.weights import digest
from clearbench.training.finetune import finetune
from clearbench.training.many import AT_ONCE, can_stack, can_teach, teach_many, unlearn_many
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

Weights = Mapping[str, Tensor]


def backbone_features(
    model: Model, dataset: Dataset, seed: int, stored: Callable[[str], dict[str, Tensor]]
) -> Features:
    """Puts a head over a dataset's people on a model, and stores what its backbone reads.

    Args:
        model: Classifier whose backbone stays frozen.
        dataset: Rows of the people.
        seed: Seed of the head.
        stored: Function from the digest of a backbone to its features by image; added to.
    """
    people = sorted(dataset.people("forget") | dataset.people("retain"))
    renewed = with_head(model, [dataset.names[person] for person in people], SHADOW_HEAD, seed)
    assert isinstance(renewed, Classifier)  # noqa: S101 - what `with_head` returns
    return Features(renewed, stored(digest(renewed.core.base_model.state_dict())))


def taught_heads(
    features: Features,
    dataset: Dataset,
    settings: TrainSettings,
    seeds: Sequence[int],
    without: tuple[str, ...] = (),
) -> Iterator[Weights]:
    """Teaches new heads a dataset's people, at once unless a setting asks for one by one.

    Args:
        features: Frozen backbone.
        dataset: Rows of the people.
        settings: Schedule and optimiser.
        seeds: Seed of each head.
        without: Splits to leave out.
    """
    for some in _chunks(seeds):
        heads = [HeadModel.new(features, seed) for seed in some]
        if can_teach(settings):
            together = stacked(heads)
            teach_many(together, dataset, settings, some, without)
            yield _weights(together)
            continue
        for head, seed in zip(heads, some, strict=True):
            finetune(head, dataset, settings, seed, without=without)
        yield _weights(stacked(heads))


def unlearned_heads(
    features: Features,
    dataset: Dataset,
    chosen: Method,
    settings: TrainSettings,
    seeds: Sequence[int],
    taught: Weights,
) -> Iterator[Weights]:
    """Makes heads forget a dataset's forget people, at once where that is exact.

    Args:
        features: Frozen backbone.
        dataset: Rows of the people.
        chosen: Method with its hyper-parameters.
        settings: Schedule and optimiser.
        seeds: Seed of each head.
        taught: Stacked weights of the heads before.
    """
    blank = HeadModel.of(features.backbone, features)
    for places in _chunks(range(len(seeds))):
        heads = [_with_weights(blank, taught, place) for place in places]
        some = [seeds[place] for place in places]
        yield _unlearned(heads, dataset, chosen, settings, some)


def _unlearned(
    heads: list[HeadModel],
    dataset: Dataset,
    chosen: Method,
    settings: TrainSettings,
    seeds: Sequence[int],
) -> Weights:
    tracks = ("image",)
    if can_stack(chosen, settings):
        together = stacked(heads)
        with suppress(RecipeError):  # its loss mixes rows
            unlearn_many(together, dataset, chosen, tracks, settings, seeds)
            return _weights(together)
    for head, seed in zip(heads, seeds, strict=True):
        unlearn(head, dataset, chosen, tracks, settings, seed)
    return _weights(stacked(heads))


def stacked(heads: Sequence[HeadModel]) -> HeadModel:
    """Builds one model of many heads, whose weights are copied."""
    first = heads[0]
    module = StackedHeads(first.module.config)
    states = [head.module.state_dict() for head in heads]
    module.stack({name: torch.stack([state[name] for state in states]) for name in states[0]})
    together = HeadModel(module, first.features)
    together.train_only(SHADOW_PARTS)
    return together


def _weights(together: HeadModel) -> Weights:
    return {name: weight.detach() for name, weight in together.module.named_parameters()}


def _with_weights(blank: HeadModel, taught: Weights, place: int) -> HeadModel:
    head: EmbeddingHead = EmbeddingHead(blank.module.config)
    head.load_state_dict({name: weight[place] for name, weight in taught.items()})
    return HeadModel(head, blank.features)


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[begin : begin + AT_ONCE] for begin in range(0, len(values), AT_ONCE))
