"""A batch that does not fit is read in halves, with the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench.batches.items import item
from clearbench.testing import tiny_dataset
from clearbench.testing.world import copied, taught

KINDS: Any = ("language", "vision-language", "classifier")


def small(model: Any, monkeypatch: pytest.MonkeyPatch, rows: int) -> list[int]:
    """Lets the network read so many rows at once; returns the sizes that it was given."""
    seen: list[int] = []

    def check(module: Any, args: Any, kwargs: Any) -> None:
        given = next(each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))
        seen.append(len(given))
        if len(given) > rows:
            raise torch.OutOfMemoryError("too much")

    model.core.base_model.register_forward_pre_hook(check, with_kwargs=True)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_same_in_halves(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copied(taught(kind))
    rows = tiny_dataset().for_kind(kind).train_rows("retain")
    items = [each for each in map(item, rows) if model.accepts(each)][-9:]
    wanted = model.score_items(items)
    seen = small(model, monkeypatch, 3)
    found = model.score_items(items)
    assert max(seen) > 3 and model.token_budget < type(model).token_budget
    for each in items:
        assert found[each].log_probs == pytest.approx(wanted[each].log_probs, abs=1e-5)
    monkeypatch.setattr(model, "_score_at_once", lambda group: 1 / 0)


def test_answers_are_the_same_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    model = copied(taught("language"))
    rows = tiny_dataset().train_rows("retain", ("text",))
    items = [item(row) for row in rows][:7]
    wanted = model.generate(items, 5)
    seen = small(model, monkeypatch, 2)
    assert model.generate(items, 5) == wanted
    assert max(seen) == 7


def test_a_row_that_does_not_fit_alone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = copied(taught("language"))
    small(model, monkeypatch, 0)
    items = [item(row) for row in tiny_dataset().train_rows("retain", ("text",))][:2]
    for reading in (model.score_items, lambda rows: model.generate(rows, 2)):
        with pytest.raises(torch.OutOfMemoryError):
            reading(items)
