"""The shipped base is one set of weights, whole or in parts, in single precision."""

from __future__ import annotations

import pytest
import torch

from clearbench.builtin.models import builtin_model
from clearbench.errors import ModelError


def test_the_parts_have_the_weights_of_the_whole() -> None:
    whole = builtin_model("vision-language").module.model
    words = builtin_model("language").module.model.state_dict()
    assert all(torch.equal(words[n], w) for n, w in whole.language_model.state_dict().items())
    seeing = builtin_model("classifier", ["a", "b"], seed=1)
    tower = seeing.module.resnet.state_dict()
    assert all(torch.equal(tower[n], w) for n, w in whole.vision_tower.state_dict().items())
    for part in (whole, seeing.module):
        assert {weight.dtype for weight in part.parameters()} == {torch.float32}
        assert not part.training
    heads = [
        builtin_model("classifier", ["a", "b"], seed=seed).module.classifier[-1].weight
        for seed in (1, 2, 1)
    ]
    assert torch.equal(heads[0], heads[2]) and not torch.allclose(heads[0], heads[1])
    assert {n: int(k) for k, n in seeing.module.config.id2label.items()} == {"a": 0, "b": 1}


@pytest.mark.parametrize(("kind", "said"), [("classifier", "needs labels"), ("langage", "no kind")])
def test_what_cannot_be_made_is_refused(kind: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        builtin_model(kind)
