"""Checkpoints and tokenizers that do not fit a model, each by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from torch import nn

from clearbench.errors import ModelError
from clearbench.models.families.base import Family
from clearbench.models.loaded_weights import check_report, check_vocabulary


@pytest.mark.parametrize(
    ("size", "special", "said"),
    [
        (5, {"pad": 4}, None),
        (4, {"eos": 3, "pad": None}, None),
        (5, {"pad": 5}, "5 tokens (pad among them), the model 5 embeddings"),
        (5, {"bos": 7, "unk": 0}, "5 tokens (bos among them), the model 5 embeddings"),
        (6, {}, "6 tokens, the model 5 embeddings"),
    ],
)
def test_every_token_has_an_embedding(size: int, special: dict[str, Any], said: str | None) -> None:
    """Of five the last is number 4."""

    class Tokens:
        def get_vocab(self) -> dict[str, int]:
            return {f"word{token}": token for token in range(size)}

    tokenizer = Tokens()
    for name in ("bos", "eos", "pad", "unk"):
        setattr(tokenizer, f"{name}_token_id", special.get(name))
    core = SimpleNamespace(get_input_embeddings=lambda: SimpleNamespace(num_embeddings=5))
    encoder = SimpleNamespace(
        legible=SimpleNamespace(control=()), chat=SimpleNamespace(template=None)
    )
    model = cast(Any, SimpleNamespace(core=core, tokenizer=tokenizer, encoder=encoder))
    if said is None:
        check_vocabulary(model)
    else:
        with pytest.raises(ModelError) as caught:
            check_vocabulary(model)
        assert said in caught.value.what


@pytest.mark.parametrize("new_head", [True, False])
@pytest.mark.parametrize("missing", [(), ("classifier.weight",), ("vit.layer.0.weight",)])
def test_a_head_may_be_missing_where_another_is_made(
    missing: tuple[str, ...], new_head: bool
) -> None:
    """Else it would be random, and so would any other weight."""
    module: Any = nn.Module()
    module.base_model_prefix = "vit"
    report = {"missing_keys": missing}
    head = missing == ("classifier.weight",)
    if not missing or (head and new_head):
        assert check_report(report, module, Family(), "here", new_head=new_head) is head
    else:
        with pytest.raises(ModelError, match="1 of its weights are missing, and would be random"):
            check_report(report, module, Family(), "here", new_head=new_head)
