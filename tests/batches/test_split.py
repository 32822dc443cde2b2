"""What was computed together is split into what it would be alone."""

from __future__ import annotations

import math

import pytest
import torch

from clearbench.batches.answers import Answers
from clearbench.batches.items import Item


@pytest.mark.parametrize("margin", [0.0, 0.5, 12.0])
def test_split_answers_teach_with_the_margin_of_the_whole(margin: float) -> None:
    """The loss is log(1 + e^(other - target + margin)) of two logits."""
    logits = torch.tensor([[0.0, 1.0], [0.5, 0.0], [2.0, 3.0]])
    names = tuple(Item(str(k), "answer", "q", "a") for k in range(3))
    whole = Answers(logits, torch.tensor([1, 0, 1]), torch.arange(3), names, margin)
    parts = whole.split([1, 2], [1, 2])
    expected = [math.log1p(math.exp(margin - gap)) for gap in (1.0, 0.5, 1.0)]
    found = [value for part in parts for value in part.losses.tolist()]
    assert found == pytest.approx(expected, rel=1e-5)
    assert [part.margin for part in parts] == [margin, margin]
    assert Answers.join(parts).losses.tolist() == pytest.approx(expected, rel=1e-5)
