"""Extras of a family's tokens reach the network whichever way rows are batched.

The stub's processor says of every token whether it is an image's (1, else 0) and a turn, which
counts the image's tokens from 2 and goes on with the last count until the answer, whose tokens
have the family's value on text, 2. Both are embedded, so that any that is lost or shifted shows.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from clearbench.batches.items import Item, item
from clearbench.models.base import Model
from clearbench.plugins import load_plugin
from clearbench.testing.world import tiny_dataset
from clearbench.training.finetune import finetune
from clearbench.training.settings import TrainSettings

NAMES = ("mm_token_type_ids", "turn_ids")


@pytest.fixture(scope="module")
def model() -> Any:
    load_plugin(Path(__file__).with_name("stub_family.py"))
    return sys.modules["clearbench_plugin_stub_family"].make()


def rows() -> list[Item]:
    """Answers, paraphrases and wrong answers: several to one question, two questions an image."""
    found = []
    for row in tiny_dataset().evaluation["forget"]:
        found.append(item(row))
        wrong = enumerate(row.perturbed_answers[:2])
        found += [item(row, f"perturbed_{k}", answer) for k, answer in wrong]
    return found


def inputs(model: Any, each: Item) -> tuple[dict[str, Any], Any]:
    """One item as plain tensors, and what was encoded."""
    encoded = model.encoder.encode(each)
    tensors = {"input_ids": torch.tensor([encoded.ids]), **encoded.tensors}
    tensors |= {name: torch.tensor([values]) for name, values in encoded.extras.items()}
    return tensors, encoded


def plain(model: Any, each: Item) -> torch.Tensor:
    """Log-probabilities of an answer from one forward pass over its own row."""
    tensors, encoded = inputs(model, each)
    logits = model.core(**tensors).logits[0, encoded.answer_start - 1 : -1]
    targets = tensors["input_ids"][0, encoded.answer_start :]
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]


def test_the_family_is_found(model: Any) -> None:
    assert type(model.family).__name__ == "Stub"
    assert model.part_of("model.pixel_projection.weight") == "projector"


def test_answers_have_the_value_on_text(model: Any) -> None:
    each = next(each for each in rows() if each.media)
    encoded = model.encoder.encode(each)
    image = model.tokenizer.convert_tokens_to_ids("<image>")
    seen = [int(token == image) for token in encoded.ids]
    assert encoded.extras["mm_token_type_ids"] == tuple(seen) and sum(seen) == 3
    turns = encoded.extras["turn_ids"]
    assert set(turns[encoded.answer_start :]) == {2} and turns[encoded.answer_start - 2] == 5


@torch.no_grad()
def test_every_way_of_batching_gives_the_plain_pass(model: Any) -> None:
    chosen = rows()
    expected = {each: plain(model, each) for each in chosen}
    trees = model.trees(chosen)
    assert any(not tree.is_chain for tree in trees), "answers share rows"
    assert model.shortcuts.shared == {"text": True, "image": True}
    assert model.shortcuts.head_only == {"text": True, "image": True}
    for each, found in model.score_items(chosen).items():
        torch.testing.assert_close(
            torch.from_numpy(found.log_probs), expected[each], atol=1e-5, rtol=0
        )
    for batch in model.batch(chosen):
        for each, log_probs in zip(batch.items, model.score(batch), strict=True):
            torch.testing.assert_close(log_probs, expected[each], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_the_extras_matter(model: Any, name: str) -> None:
    each = next(each for each in rows() if each.media)
    tensors, _ = inputs(model, each)
    changed = tensors | {name: torch.zeros_like(tensors[name])}
    assert (model.core(**tensors).logits - model.core(**changed).logits).abs().max() > 1e-3


def test_gradients_are_those_of_plain_passes(model: Any) -> None:
    """Sum of all answers' log-probabilities; every weight, the extras' embeddings too."""
    chosen = rows()
    model.train_only(("projector", "language"))
    weights = model.trainable()
    together = model.answers(model.batch(chosen)).log_probs.sum()
    found = torch.autograd.grad(together, list(weights.values()))
    alone = torch.stack([plain(model, each).sum() for each in chosen]).sum()
    expected = torch.autograd.grad(alone, list(weights.values()))
    for name, ours, theirs in zip(weights, found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4, msg=name)
    assert any("turns" in name for name in weights)


def test_a_step_is_trained(model: Model) -> None:
    taught = model.duplicate()
    settings = {"steps": 1, "batch_size": 4, "learning_rate": 1e-2, "warmup": 0.0}
    finetune(taught, tiny_dataset(), TrainSettings.model_validate(settings))
    before, after = (dict(each.module.named_parameters()) for each in (model, taught))
    for name in ("model.types.weight", "model.turns.weight", "model.pixel_projection.weight"):
        assert not torch.equal(before[name], after[name]), name


@torch.no_grad()
def test_it_generates_what_plain_passes_give(model: Any) -> None:
    chosen = [item(row) for row in tiny_dataset().evaluation["forget"]][:6]
    found = model.generate(chosen, 6)
    assert model.shortcuts.own_decoding == {"text": True, "image": True}
    for each, text in zip(chosen, found, strict=True):
        prompt = model.encoder.prompt(each.question, each.media)
        tensors: Any = {"input_ids": torch.tensor([prompt.ids]), **prompt.tensors}
        tensors |= {name: torch.tensor([values]) for name, values in prompt.extras.items()}
        values = {"mm_token_type_ids": 0, "turn_ids": 2}
        new: list[int] = []
        for _ in range(6):
            token = int(model.core(**tensors).logits[0, -1].argmax())
            if token == model.tokenizer.eos_token_id:
                break
            new.append(token)
            tensors["input_ids"] = torch.cat([tensors["input_ids"], torch.tensor([[token]])], 1)
            for name, value in values.items():
                tensors[name] = torch.cat([tensors[name], torch.tensor([[value]])], 1)
        assert text == model.tokenizer.decode(new, skip_special_tokens=True).strip()


def test_an_image_under_two_questions_is_one_tensor(model: Any) -> None:
    first, second = [each for each in rows() if each.row in ("0-caption", "0-name")][:4:3]
    assert first.question != second.question and first.media == second.media
    pixels = [model.encoder.encode(each).tensors["pixel_values"] for each in (first, second)]
    assert pixels[0] is pixels[1]
