"""Where a boundary lies, by hand: of prompts, of sizes of sets, and of steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from clearbench.methods.base import method
from clearbench.methods.eco import separate
from clearbench.methods.losses import Term
from clearbench.methods.retain import by_rows, row_shares
from clearbench.methods.scrub import SCRUB


@pytest.mark.parametrize(("centre", "scale"), [(0.0, 1.0), (40.0, 1.0), (-3.0, 0.01)])
@pytest.mark.parametrize("copies", [1, 3])
def test_prompts_are_told_apart_half_way_wherever_they_lie(
    centre: float, scale: float, copies: int
) -> None:
    """Two sets that mirror each other; one may be larger, since both weigh the same."""
    apart = torch.tensor([[1.0, 0.5], [2.0, -0.5], [3.0, 0.25]])
    forget, retain = centre + scale * apart, centre - scale * apart
    found = separate(forget, retain.repeat(copies, 1), 0.01)
    middle = torch.full((2,), centre)
    logits = [float(rows @ found["weight"] + found["bias"]) for rows in (forget[0], middle)]
    assert logits[0] > 0
    if copies == 1:
        assert abs(logits[1]) < 0.05 * logits[0]
    else:
        assert abs(logits[1]) < logits[0]
    assert ((retain @ found["weight"] + found["bias"]) < 0).all()


def of_rows(forget: int, retain: int) -> Any:
    """Training rows by role, two to a batch."""
    sizes = {"forget": forget, "retain": retain}

    def batches(role: str) -> list[list[SimpleNamespace]]:
        return [
            [SimpleNamespace(items=range(min(2, sizes[role] - begin)))]
            for begin in range(0, sizes[role], 2)
        ]

    return SimpleNamespace(batches=batches)


@pytest.mark.parametrize(
    ("forget", "retain", "share", "weight"),
    [(3, 9, 1.0, 0.25), (3, 10, 0.3, 0.5), (1, 8, 0.5, 0.2), (4, 4, 0.25, 0.8)],
)
def test_sets_weigh_as_their_rows_with_a_share_of_those_to_keep(
    forget: int, retain: int, share: float, weight: float
) -> None:
    state = row_shares(of_rows(forget, retain), share)
    ones = torch.ones(2)
    terms = by_rows(state, {"forget": Term(ones, ones), "retain": Term(3 * ones, ones)})
    assert float(terms["forget"].mean) == pytest.approx(weight)
    assert float(terms["retain"].mean) == pytest.approx(3 * (1 - weight))


@pytest.mark.parametrize(
    ("steps", "share", "min_steps", "at"),
    [
        (6, 0.5, 1, [1]),
        (10, 0.3, 1, [1]),
        (10, 0.5, 2, [2]),
        (12, 0.5, 2, [2, 5]),
        (4, 1.0, 1, [1, 3]),
        (4, 0.0, 1, []),
    ],
)
def test_max_steps_end_with_their_share(
    steps: int, share: float, min_steps: int, at: list[int]
) -> None:
    """Of ten steps the first three are number 0, 1 and 2."""
    chosen = cast(SCRUB, method("scrub", max_share=share, min_steps=min_steps))
    numbered = (SimpleNamespace(number=k, steps=steps) for k in range(steps))
    found = [step.number for step in numbered if chosen._is_max(cast(Any, step))]
    assert found == at


def test_noise_falls_with_the_fourth_root_of_what_a_weight_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A noise of 1 on information 1, 16 and 1/16: deviations 1, 1/2 and, above the floor, 1."""
    weight = nn.Parameter(torch.zeros(3))
    model = SimpleNamespace(trainable=lambda: {"w": weight})
    found = {"w": torch.tensor([1.0, 16.0, 1 / 16])}
    monkeypatch.setattr("clearbench.methods.fisher.fisher_information", lambda *_: found)
    torch.manual_seed(7)
    drawn = torch.randn(3)
    torch.manual_seed(7)
    data = SimpleNamespace(batches=lambda *_: [])
    method("fisher", noise=1.0, floor=1.0).edit(cast(Any, model), cast(Any, data))
    assert weight.tolist() == pytest.approx((drawn * torch.tensor([1.0, 0.5, 1.0])).tolist())
    torch.manual_seed(7)
    method("fisher", noise=1.0, floor=1e-3).edit(cast(Any, model), cast(Any, data))
    assert weight.tolist()[2] == pytest.approx(3 * drawn.tolist()[2], rel=1e-5)
