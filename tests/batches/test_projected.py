"""Log-probabilities from hidden states are those of the logits, with the same gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from clearbench.batches import chunks
from clearbench.batches.answers import Answers
from clearbench.batches.items import Item
from clearbench.batches.projected import Projected

TOKENS, WIDTH, VOCABULARY = 7, 5, 11
NAMES = tuple(Item(str(k), "answer", "q", "a") for k in range(3))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def both(bias: bool = True) -> tuple[Answers, Answers, Tensor, Tensor]:
    """Answers of one head from states and from logits, and the states of each."""
    weight, offset = drawn(VOCABULARY, WIDTH, seed=1).float(), drawn(VOCABULARY, seed=2).float()
    states = [drawn(TOKENS, WIDTH).float().requires_grad_() for _ in range(2)]
    targets, rows = torch.tensor([3, 0, 10, 3, 7, 7, 1]), torch.tensor([0, 0, 1, 1, 1, 2, 2])
    unread: Any = Projected(states[0], weight, offset if bias else None)
    logits = functional.linear(states[1], weight, offset if bias else None)
    return (
        Answers(unread, targets, rows, NAMES),
        Answers(logits, targets, rows, NAMES),
        states[0],
        states[1],
    )


@pytest.mark.parametrize("held", [1, 3 * VOCABULARY, 10**6])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_are_those_of_the_logits(
    held: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tokens are projected at once; a sum over rows of squares of whole answers."""
    monkeypatch.setattr(chunks, "HELD_ON_CPU", held)
    ours, plain, own, theirs = both(bias)
    torch.testing.assert_close(ours.log_probs, plain.log_probs)
    torch.testing.assert_close(ours.losses, plain.losses)
    for answers in (ours, plain):
        answers.per_row(answers.log_probs).square().sum().backward()
    torch.testing.assert_close(own.grad, theirs.grad)


def test_no_chunk_is_longer_than_what_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "HELD_ON_CPU", 3 * VOCABULARY)
    ours, _, own, _ = both()
    seen: list[int] = []
    linear = functional.linear

    def recorded(states: Tensor, *weights: Tensor) -> Tensor:
        seen.append(len(states))
        return linear(states, *weights)

    monkeypatch.setattr(chunks.functional, "linear", recorded)
    ours.log_probs.sum().backward()
    assert seen == [3, 3, 1], "each token once, and never all logits"
    assert own.grad is not None


def test_logits_are_computed_when_they_are_asked_for() -> None:
    ours, plain, _, _ = both()
    assert not ours.logits_or_states.is_read
    torch.testing.assert_close(ours.logits, plain.logits)
    assert ours.logits is ours.logits, "logits are computed once"
    changed = ours.with_logits(plain.logits + 1)
    torch.testing.assert_close(changed.logits, plain.logits + 1)
    assert torch.equal(changed.targets, ours.targets)


def test_parts_and_wholes_stay_states_until_logits_are_read() -> None:
    ours, plain, _, _ = both()
    parts = ours.split([1, 2], [2, 5])
    again = Answers.join(parts)
    assert not any(answers.logits_or_states.is_read for answers in (ours, again, *parts))
    torch.testing.assert_close(again.log_probs, plain.log_probs)
    torch.testing.assert_close(parts[1].log_probs, plain.log_probs[2:])
    mixed = Answers.join([parts[0], plain.split([1, 2], [2, 5])[1]])
    torch.testing.assert_close(mixed.logits, plain.logits)


@pytest.mark.parametrize("name", ["log_probs", "losses"])
def test_weights_that_are_read_without_gradient_leave_it_to_the_loss(name: str) -> None:
    ours, plain, own, theirs = both()
    for answers in (ours, plain):
        with torch.no_grad():
            weights = getattr(answers, name).exp()
        assert not weights.requires_grad
        (weights * getattr(answers, name)).sum().backward()
    torch.testing.assert_close(own.grad, theirs.grad)


def test_logits_that_are_first_read_without_gradient_have_one() -> None:
    ours, plain, own, theirs = both()
    with torch.no_grad():
        assert ours.logits.shape == (TOKENS, VOCABULARY)
    for answers in (ours, plain):
        (answers.logits.square().sum() + answers.log_probs.sum()).backward()
    torch.testing.assert_close(own.grad, theirs.grad)


def test_a_frozen_reference_has_no_gradient() -> None:
    ours, plain, own, _ = both()
    own.requires_grad_(False)
    assert not ours.log_probs.requires_grad
    torch.testing.assert_close(ours.log_probs, plain.log_probs.detach())


def test_under_autocast_values_are_those_of_the_plain_path() -> None:
    ours, plain, _, theirs = both()
    with torch.autocast("cpu", torch.bfloat16):
        weight, bias = ours.logits_or_states.weight, ours.logits_or_states.bias
        expected = plain.with_logits(functional.linear(theirs, weight, bias).float()).log_probs
        found = ours.log_probs
    torch.testing.assert_close(found, expected)
    assert found.dtype == torch.float32
