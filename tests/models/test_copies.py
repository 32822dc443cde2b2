"""A copy under adapters shares frozen weights while it is trained, and none of them after."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench import api
from clearbench.models import adapters
from clearbench.models.adapters import copy_to_train, merge_adapters
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.settings import TrainSettings

CPU = torch.device("cpu")


def places(model: Model) -> set[int]:
    return {weight.untyped_storage().data_ptr() for weight in model.module.parameters()}


@pytest.mark.parametrize(("rank", "shared"), [(2, True), (None, False)])
def test_only_what_is_frozen_under_adapters_is_shared(rank: int | None, shared: bool) -> None:
    model: Any = tiny_model()
    with copy_to_train(model, CPU, rank) as copied:
        assert (places(copied) == places(model)) is shared
        assert copied.module is not model.module
        tied = copied.core.get_input_embeddings().weight is copied.core.lm_head.weight
        assert tied == (model.core.get_input_embeddings().weight is model.core.lm_head.weight)
    assert not places(copied) & places(model)
    assert copied.fingerprint == model.fingerprint


def test_a_model_with_adapters_shares_nothing() -> None:
    """They are merged into their weights first, in place."""
    model = tiny_model()
    adapters.add_lora(model, ("language",), 2)
    with copy_to_train(model, CPU, 2) as copied:
        assert not places(copied) & places(model)


@pytest.mark.parametrize("method", ["npo", "salun", "sku"])
def test_what_comes_back_and_what_was_given_change_apart(method: str) -> None:
    model, data = tiny_model(), tiny_dataset()
    before = model.fingerprint
    settings = TrainSettings(steps=2, batch_size=2, parts=("language",), lora_rank=2)
    forgot = api.unlearn(model, data, method, "text", settings=settings)
    assert model.fingerprint == before
    merge_adapters(forgot)
    assert model.fingerprint == before != forgot.fingerprint
    after = forgot.fingerprint
    with torch.no_grad():
        for weight in model.module.parameters():
            weight.add_(1.0)
    assert forgot.fingerprint == after
