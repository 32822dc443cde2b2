"""Short cuts are taken where they are exact on this model, whatever its process did before."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPTNeoConfig,
    Llama4TextConfig,
    LlamaConfig,
    MistralConfig,
    RecurrentGemmaConfig,
)

from clearbench.batches.items import Item
from clearbench.models.cache import WorkCache
from clearbench.models.shortcuts import SELF_TEST_UNITS, agrees
from clearbench.models.token_model import LanguageModel
from clearbench.testing import tiny_model

EPS = torch.finfo(torch.float32).eps
TINY: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 1,
    "bos_token_id": None,
}  # fmt: skip
CONFIGS: dict[str, Any] = {
    "global and local": GPTNeoConfig(
        vocab_size=300, hidden_size=32, num_layers=2, num_heads=4, window_size=64,
        attention_types=[[["global", "local"], 1]], max_position_embeddings=512,
    ),
    "a sliding window": MistralConfig(**TINY, sliding_window=64),
    "chunks, and another name of the base": Llama4TextConfig(
        **TINY, intermediate_size_mlp=64, head_dim=8, num_local_experts=2, attention_chunk_size=64
    ),
    "tuples": LlamaConfig(**TINY, return_dict=False),
    "a state of its own": RecurrentGemmaConfig(
        **TINY | {"num_hidden_layers": 3}, lru_width=32, attention_window_size=64, head_dim=8
    ),
}  # fmt: skip


def model(config: Any, seed: int = 0) -> Any:
    """A model with weights so large that what a token attends to shows."""
    torch.manual_seed(seed)
    module = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() > 1:
                weight.mul_(6)
    return LanguageModel(module, tiny_model().tokenizer)  # type: ignore[attr-defined]


def answers(count: int, words: int = 0) -> list[Item]:
    """Answers to one question; together longer than a window, each shorter, or each longer."""
    tail = " and so on" * words
    return [Item("1", f"v{k}", "Who?", f"{k} is a person{tail}") for k in range(count)]


@torch.no_grad()
def alone(made: Any, each: Item) -> Any:
    """Log-probabilities of an answer from one plain forward pass over its own row."""
    code = made.encoder.encode(each)
    logits = made.core(torch.tensor([code.ids])).logits[0, code.answer_start - 1 : -1]
    targets = torch.tensor(code.ids[code.answer_start :])
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("words", [0, 12], ids=["short", "longer than a window"])
def test_every_way_of_reading_is_the_plain_one(name: str, words: int) -> None:
    made = model(CONFIGS[name])
    for count in (2, 9):  # the second tree is longer than the one that was tested
        items = answers(count, words)
        for each, found in made.score_items(items).items():
            assert found.log_probs == pytest.approx(alone(made, each), abs=1e-4)
        made.states(made.batch(items[:2]), 1)
        made.prompt_states(made.batch(items[:1])[0])
    assert len(made.generate(items, [3, *[9] * 8])) == 9


def test_a_row_that_is_longer_than_the_tested_one_is_tested_again() -> None:
    made = model(LlamaConfig(**TINY))
    made.score_items(answers(2))
    tested = made.shortcuts.longest["text"]
    made.score_items(answers(9))
    assert made.shortcuts.shared == {"text": True} and made.shortcuts.longest["text"] > tested
    honest = made._plain_logits
    made._plain_logits = lambda batch, places: (
        honest(batch, places) + ("position_ids" in batch.inputs)
    )
    made.score_items(answers(12))
    assert made.shortcuts.shared == {"text": False}
    for count in (2, 9, 12):
        trees = made.trees(answers(count))
        assert len(trees) == count and all(tree.is_chain for tree in trees), "none is shared now"


@pytest.mark.parametrize("error", [AttributeError, KeyError, AssertionError, NotImplementedError])
def test_a_short_cut_that_raises_is_left(error: type[Exception]) -> None:
    made: Any = tiny_model()

    def broken(_: Any) -> Any:
        raise error("not on this architecture")

    made._states = broken
    for each, found in made.score_items(answers(2)).items():
        assert found.log_probs == pytest.approx(alone(made, each), abs=1e-5)
    assert made.shortcuts.head_only == {"text": False}


def test_outcomes_belong_to_a_model_and_not_to_its_process() -> None:
    """A worker's second job finds what a fresh worker finds, and so does a copy."""
    cache, first, second = WorkCache(), tiny_model(), tiny_model()
    for made in (first, second):
        made.share(cache, "tiny")
    first.shortcuts.head_only["text"] = False  # type: ignore[attr-defined]
    for made in (second, first.duplicate(), first.untrained(0)):
        made.score_items(answers(2))
        assert made.reading["shortcuts"]["head_only"] == {"text": True}
        assert made.reading["shortcuts"]["shared"] == {"text": True}
    assert first.reading["shortcuts"]["head_only"] == {"text": False}


@pytest.mark.parametrize("size", [1e-3, 1.0, 13.0, 1e4])
def test_short_cuts_differ_by_rounding_whatever_the_size(size: float) -> None:
    plain = torch.linspace(-size, size, 7)
    apart = size * EPS * SELF_TEST_UNITS
    assert agrees(lambda: plain + 0.5 * apart, plain)
    assert not agrees(lambda: plain + 2.0 * apart, plain)
    assert not agrees(lambda: plain * float("nan"), plain)
    assert not agrees(lambda: plain[:0], plain[:0])


def test_answers_of_many_rows_share_none_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask of a shared row has the square of its tokens: a million of them would be 1 TB."""
    made = model(replace_positions(LlamaConfig(**TINY)))
    monkeypatch.setattr("clearbench.models.token_reader.MOST_SHARED", 40)
    assert made.positions is None
    assert all(tree.is_chain for tree in made.trees(answers(9, 12)))
    assert not made.shortcuts.shared


def replace_positions(config: Any) -> Any:
    """A configuration without a number of positions."""
    config.max_position_embeddings = 0
    return config
