"""What is read from logits: against float64, with ties, and with contexts that items share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.testing import tiny_model

VOCABULARY = 50


def read(logits: torch.Tensor, places: list[int], targets: list[int], chunk: int) -> Any:
    """One item's reading from logits at every place, given some places at a time."""
    model: Any = tiny_model()
    model.logits = lambda _, chosen: (part.clone() for part in logits[chosen].split(chunk))
    owners = torch.zeros(len(places), dtype=torch.long)
    items = (Item("1", "answer", "q", "a"),)
    (found,) = model.statistics(
        Batch({}, torch.tensor(places), torch.tensor(targets), owners, items)
    )
    return found


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0], ids=["flat", "plain", "peaked"])
def test_a_reading_is_that_of_float64(scale: float, chunk: int) -> None:
    logits = scale * torch.randn(4, VOCABULARY, generator=torch.Generator().manual_seed(0))
    top = logits.argmax(-1).tolist()
    places, targets = [0, 1, 1, 2, 3], [top[0], top[1], 7, 9, top[3]]
    found = read(logits, places, targets, chunk)
    exact = logits.double().log_softmax(-1)[places].numpy()
    mass = np.exp(exact)
    means = (mass * exact).sum(-1)
    variances = (mass * (exact - means[:, None]) ** 2).sum(-1)
    np.testing.assert_allclose(found.log_probs, exact[range(5), targets], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.means, means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.variances, variances, rtol=1e-3, atol=1e-9)
    assert found.hits.tolist() == [exact[k].argmax() == t for k, t in enumerate(targets)]


def test_of_equal_first_choices_only_the_first_is_hit() -> None:
    """A model that likes all tokens the same has not memorised every one of them."""
    logits = torch.zeros(1, VOCABULARY)
    assert read(logits, [0, 0, 0], [0, 1, 2], 8).hits.tolist() == [True, False, False]
