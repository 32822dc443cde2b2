"""A base is outlined as it is loaded: the same weights, without their values."""

from __future__ import annotations

from typing import Any

import pytest

from clearbench.models.outline import outlined
from clearbench.runs.stages.model import ModelSource
from clearbench.testing import tiny_dataset


@pytest.mark.parametrize(
    "about",
    [
        {"kind": "language"},
        {"kind": "vision-language"},
        {"kind": "classifier"},
        {"kind": "classifier", "head": "projected_margin"},
    ],
)
def test_an_outline_has_the_weights_of_what_is_loaded(about: dict[str, Any]) -> None:
    source, data = ModelSource(source="builtin", **about), tiny_dataset()
    outline, loaded = outlined(lambda: source.outline(data)), source.load(data, 0)
    shapes = [
        {name: (weight.shape, weight.dtype) for name, weight in model.module.named_parameters()}
        for model in (outline, loaded)
    ]
    assert shapes[0] == shapes[1]
    assert {weight.device.type for weight in outline.module.parameters()} == {"meta"}
