"""How a run holds what it looks back at: the cheapest exact form, and the one that it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clearbench.batches.items import Item
from clearbench.methods.base import method
from clearbench.methods.step import NoReference, Reference
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.training import stages
from clearbench.training.reference import (
    FrozenReference,
    StoredReference,
    make_reference,
    reference_forms,
)
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

STORED, OFF, COPY = "stored log-probabilities", "adapter off", "copy of what learns"
#: A method, and what it holds when the weights themselves learn and when an adapter does.
CASES: list[tuple[str, dict[str, Any], tuple[str, ...], tuple[str, ...]]] = [
    ("gradient_ascent", {}, (), ()),
    ("npo", {}, (STORED,), (STORED,)),
    ("altpo", {}, (STORED,), (STORED,)),
    ("kl_minimization", {}, (COPY,), (OFF,)),
    ("rmu", {}, (COPY,), (OFF,)),
    ("sku", {}, (COPY,), (OFF,)),
    ("gradient_difference", {}, (), ()),
    ("gradient_difference", {"retain": "kl"}, (COPY,), (OFF,)),
    ("gradient_difference", {"forget": "kl"}, (COPY,), (OFF,)),
    ("gradient_difference", {"forget": "entropy"}, (), ()),
    ("dpo", {"reference": "tuned"}, (STORED,), (STORED,)),
    ("ssd", {}, (), ()),
    ("guardrail", {}, (), ()),
]


def seen_form(found: Reference) -> str | None:
    """The form of a reference that a run has made."""
    if isinstance(found, NoReference):
        return None
    if isinstance(found, StoredReference):
        return STORED
    assert isinstance(found, FrozenReference)
    return OFF if found._weights is None else COPY


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize(("name", "about", "full", "adapted"), CASES)
def test_a_run_holds_what_it_says(
    name: str,
    about: dict[str, Any],
    full: tuple[str, ...],
    adapted: tuple[str, ...],
    rank: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = method(name, **about)
    expected = full if rank is None else adapted
    assert reference_forms(chosen, rank) == expected
    if name in ("ssd", "guardrail"):
        return
    made: list[Reference] = []

    def spy(*arguments: Any) -> Reference:
        made.append(make_reference(*arguments))
        return made[-1]

    monkeypatch.setattr(stages, "make_reference", spy)
    schedule = {"steps": 1, "batch_size": 2, "parts": ("language",), "lora_rank": rank}
    unlearn(tiny_model(), tiny_dataset(), chosen, ("text",), TrainSettings.of(**schedule))
    assert tuple(dict.fromkeys(filter(None, map(seen_form, made)))) == expected


@pytest.mark.parametrize("rank", [None, 2])
def test_all_forms_say_the_same(rank: int | None) -> None:
    """Stored, adapter off and copy agree on whole answers, also after the model has moved."""
    from clearbench.models.adapters import choose_parameters

    model = tiny_model()
    choose_parameters(model, ("language",), rank, 0)
    items = [
        Item(row.id, "answer", row.question, row.answer)
        for row in tiny_dataset().train_rows("forget", ("text",))
    ]
    drawn = {"forget": items}

    def held(*needs: str) -> Reference:
        return make_reference(model, needs, lambda *_: drawn, 0, 1)

    stored, frozen = held("forget", "reference_log_probs"), held("forget", "reference")
    batches = model.batch(items)
    before = frozen.sequence_log_probs(batches)
    with torch.no_grad():
        for weight in model.trainable().values():
            weight.add_(0.1)
    for each in (stored, frozen):
        torch.testing.assert_close(each.sequence_log_probs(batches), before, atol=1e-4, rtol=1e-5)


def test_stored_answers_are_read_once() -> None:
    """Eight steps over the same rows cost no more forward passes than one."""
    model = tiny_model()
    rows = tiny_dataset().train_rows("forget", ("text",))
    items = [Item(row.id, "answer", row.question, row.answer) for row in rows]
    costs = [_cost(model, items, steps) for steps in (1, 8)]
    assert costs[0] == costs[1] > 0


def _cost(model: Model, items: list[Item], steps: int) -> int:
    before = model.forwards
    make_reference(model, ("forget", "reference_log_probs"), lambda *_: {"forget": items}, 0, steps)
    return model.forwards - before
