"""Answers of a large vocabulary are read as hidden states, with the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench.batches import chunks
from clearbench.batches.items import item
from clearbench.batches.projected import Projected
from clearbench.methods.base import method
from clearbench.models.adapters import add_lora
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training.reference import FrozenReference
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

METHODS = ("npo", "kl_minimization", "simnpo")


def adapted() -> Any:
    model: Any = tiny_model()
    torch.manual_seed(0)
    add_lora(model, ("language",), 2)
    model.train_only(("language",))
    for name, weight in model.trainable().items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return model


def batches(model: Any) -> Any:
    return model.batch([item(row) for row in tiny_dataset().train_rows("retain", ("text",))[:5]])


def is_unread(answers: Any) -> bool:
    return isinstance(answers.logits_or_states, Projected) and not answers.logits_or_states.is_read


def test_only_many_logits_are_left_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted()
    rows = batches(model)
    few = model.answers(rows)
    assert not is_unread(few)
    monkeypatch.setattr(chunks, "HELD_ON_CPU", few.logits.numel())
    assert not is_unread(model.answers(rows))
    monkeypatch.setattr(chunks, "HELD_ON_CPU", few.logits.numel() - 1)
    many = model.answers(rows)
    assert is_unread(many)
    torch.testing.assert_close(many.log_probs, few.log_probs)


def test_a_head_that_learns_or_is_watched_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "HELD_ON_CPU", 1)
    model = adapted()
    rows, head = batches(model), model.core.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda *_: None)
    assert not is_unread(model.answers(rows))
    handle.remove()
    head.weight.requires_grad_(True)
    assert not is_unread(model.answers(rows))
    head.weight.requires_grad_(False)
    assert is_unread(model.answers(rows))


def test_a_reference_keeps_the_head_that_it_was_read_with(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = tiny_model()
    rows = batches(model)
    before = model.answers(rows).log_probs.detach()
    reference = FrozenReference(model).keep()
    with torch.no_grad():
        for weight in model.trainable().values():
            weight.mul_(1.5)
    monkeypatch.setattr(chunks, "HELD_ON_CPU", 1)
    answers = reference.answers(rows)
    assert is_unread(answers)
    torch.testing.assert_close(answers.log_probs, before)
    of_targets = answers.logits.log_softmax(-1).gather(-1, answers.targets[:, None])[:, 0]
    torch.testing.assert_close(of_targets, before)


@pytest.mark.parametrize("name", METHODS)
def test_a_run_has_the_same_losses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrainSettings(steps=2, batch_size=3, parts=("language",), lora_rank=2)
    histories = []
    for held in (chunks.HELD_ON_CPU, 40):
        monkeypatch.setattr(chunks, "HELD_ON_CPU", held)
        run = unlearn(tiny_model(), tiny_dataset(), method(name), ("text",), settings)
        histories.append(run)
    for whole, cut in zip(*histories, strict=True):
        assert cut == pytest.approx(whole, rel=1e-5, abs=1e-6)
