"""Rows that a loss reads in one pass are read as if each role were read alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.batches.answers import Answers
from clearbench.batches.batch import Batch
from clearbench.batches.items import item
from clearbench.methods.base import method
from clearbench.methods.step import Step
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset
from clearbench.testing.bench import Bench
from clearbench.testing.world import copied, taught

KINDS = ("language", "vision-language", "classifier")


def groups(model: Model) -> list[Sequence[Batch]]:
    """Rows to forget and to keep, of unlike number and length, with and without an image."""
    data = tiny_dataset().for_kind(model.kind)
    forget, retain = (
        [item(row) for row in data.train_rows(split, ("text", "image"))]
        for split in ("forget", "retain")
    )
    chosen = (forget[:3] + forget[-2:], retain[:2] + retain[-4:])
    return [model.batch([each for each in rows if model.accepts(each)]) for rows in chosen]


def assert_alike(ours: Answers, theirs: Answers) -> None:
    assert ours.items == theirs.items
    assert torch.equal(ours.rows, theirs.rows)
    assert torch.equal(ours.targets, theirs.targets)
    assert ours.margin == theirs.margin
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_each_role_alone(kind: Any) -> None:
    model = taught(kind)
    rows = groups(model)
    with torch.no_grad():
        found = model.answers_together(rows)
        for ours, group in zip(found, rows, strict=True):
            assert_alike(ours, model.answers(group))


def test_a_pass_less_for_each_kind_of_row() -> None:
    model, seen = copied(taught("vision-language")), []
    rows = groups(model)
    inner = model.answers
    model.answers = lambda batches: (seen.extend(batches), inner(batches))[1]  # type: ignore[method-assign]
    before = model.forwards
    with torch.no_grad():
        model.answers_together(rows)
    assert [len(batch.items) for batch in seen] == [
        sum(len(group[k].items) for group in rows) for k in range(2)
    ]
    assert model.forwards - before == 4  # the cost that is reported is of rows, not of passes


def test_replaced_images_are_read_as_they_are() -> None:
    model = taught("classifier")
    rows = groups(model)
    (first,) = rows[0]
    dark = [first.showing(torch.zeros_like(first.inputs["pixel_values"]))]
    with torch.no_grad():
        found = model.answers_together([dark, rows[1]])
        assert_alike(found[0], model.answers(dark))
        assert not torch.equal(found[0].logits, model.answers(rows[0]).logits)


def gradients(bench: Bench, *, together: bool) -> list[Tensor]:
    """Of the summed terms of a step."""
    model = bench.model()
    items = {role: rows[:3] for role, rows in bench.items(model).items()}
    step = bench.step(model, items)
    asked = Step(**{**step.__dict__, "together": together})
    total = torch.stack([term.mean for term in bench.chosen.loss(asked).values()]).sum()
    weights = list(model.trainable().values())
    found = torch.autograd.grad(total, weights, allow_unused=True)
    return [each for each in found if each is not None]


@pytest.mark.parametrize("name", ["altpo", "dpo", "kl_minimization", "npo"])
def test_gradients_are_those_of_each_role_alone(name: str) -> None:
    """To 1e-5 of the largest entry."""
    bench = Bench(type(method(name)), "language")
    ours, theirs = (gradients(bench, together=together) for together in (True, False))
    largest = max(float(each.abs().max()) for each in theirs)
    assert largest > 0
    for one, other in zip(ours, theirs, strict=True):
        assert float((one - other).abs().max()) < 1e-5 * largest


def test_split_undoes_join() -> None:
    model = taught("language")
    with torch.no_grad():
        parts = [model.answers(group) for group in groups(model)]
    whole = Answers.join(parts)
    sizes = [len(part.items) for part in parts], [len(part.targets) for part in parts]
    for ours, theirs in zip(whole.split(*sizes), parts, strict=True):
        assert ours.items == theirs.items
        for field in ("logits", "targets", "rows"):
            assert torch.equal(getattr(ours, field), getattr(theirs, field))
