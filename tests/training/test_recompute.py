"""Activations that are computed again give the same gradients and take less memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.items import item
from clearbench.errors import ModelError
from clearbench.methods.losses import cross_entropy
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset
from clearbench.testing.world import PARTS, copied, few_steps, taught
from clearbench.training.finetune import finetune
from clearbench.training.recompute import recomputed


def kept(model: Model) -> tuple[int, dict[str, Tensor]]:
    """Bytes that one pass keeps for its backward pass, and the gradients."""
    rows = tiny_dataset().for_kind(model.kind).train_rows("retain")
    items = [each for each in map(item, rows) if model.accepts(each)][:4]
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {w.untyped_storage().data_ptr() for w in model.module.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model.answers(model.batch(items))).mean
    size = sum(count for place, count in storages.items() if place not in own)
    loss.backward()
    return size, {name: w.grad for name, w in model.trainable().items() if w.grad is not None}


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_gradients_are_the_same_and_less_is_kept(kind: Any) -> None:
    found = []
    for again in (False, True):
        model = copied(taught(kind))
        model.train_only(PARTS[kind])
        model.train(True)
        if again:
            with recomputed(model):
                found.append(kept(model))
            assert not model.core.is_gradient_checkpointing
        else:
            found.append(kept(model))
    (more, plain), (less, recomputed_gradients) = found
    assert less < more / 2
    assert plain.keys() == recomputed_gradients.keys() and plain
    for name, gradient in plain.items():
        torch.testing.assert_close(recomputed_gradients[name], gradient)


def test_a_model_without_such_layers_is_refused_before_work() -> None:
    model = copied(taught("classifier"))
    settings = few_steps("classifier", gradient_checkpointing=True)
    with pytest.raises(ModelError, match="no layers whose activations can be recomputed"):
        finetune(model, tiny_dataset().naming(), settings)
