"""LUNAR's loss in numpy, its direction by a plain forward pass, and the matrix that learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.batches.items import Item
from clearbench.methods.base import Train, method
from clearbench.methods.lunar import LUNAR, UNANSWERABLE
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import changed, check_term, snapshot
from clearbench.testing.given import WORDS, GivenModel, given_step
from clearbench.testing.world import base, taught

MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(1)
DIRECTION = torch.linspace(-1.0, 2.0, WORDS)


def test_the_loss_is_the_squared_distance_from_the_moved_state() -> None:
    step = given_step(MODEL, REFERENCE, state={"direction": DIRECTION})
    found = method("lunar", layer=2, strength=3.0, retain_weight=0.5).loss(step)
    moved = 2 * (MODEL.array("forget") - REFERENCE.array("forget"))
    away = moved - 3.0 * DIRECTION.numpy()
    check_term(found["forget"], (away**2).sum(-1) / WORDS)
    drift = 2 * (MODEL.array("retain") - REFERENCE.array("retain"))
    check_term(found["retain"], 0.5 * (drift**2).sum(-1) / WORDS)


def test_the_first_step_goes_along_the_direction() -> None:
    """At the original the slope is -2 s r / d per token, divided by the tokens."""
    same = GivenModel({r: v.detach() for r, v in MODEL.logits.items()})
    found = LUNAR(layer=1, strength=3.0).loss(
        given_step(MODEL, same, state={"direction": DIRECTION})
    )
    slope = MODEL.slope(found["forget"].mean, "forget")
    expected = -2 * 3.0 * DIRECTION.numpy() / WORDS / len(slope)
    np.testing.assert_allclose(slope, np.tile(expected, (len(slope), 1)), rtol=1e-6)
    assert not MODEL.slope(found["retain"].mean, "retain").any()


def last_prompt_state(model: Any, item: Item, layer: int) -> Tensor:
    """The state after a layer at the token before the answer, from the sequence alone."""
    (batch,) = model.batch([item])
    end = model.encoder.encode(item).answer_start - 1
    with torch.no_grad():
        out = model.core(**batch.inputs, output_hidden_states=True)
    return out.hidden_states[layer][0, end]


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_the_direction_leads_from_forget_to_unanswerable_questions(kind: Any) -> None:
    bench = Bench(LUNAR, kind)
    model: Any = taught(kind)
    data = bench.rows(model)
    items = [item for group in data.batches("forget") for batch in group for item in batch.items]
    assert len(items) > 1
    refused = [
        Item(
            row=item.row, variant="x", question=UNANSWERABLE[k % len(UNANSWERABLE)],
            answer="Yes.", media=item.media, track=item.track,
        )
        for k, item in enumerate(items)
    ]  # fmt: skip
    means = [
        torch.stack([last_prompt_state(model, item, 1) for item in rows]).mean(0)
        for rows in (refused, items)
    ]
    found = LUNAR(layer=1).prepare(model, data, 0)["direction"]
    torch.testing.assert_close(found, means[0] - means[1], rtol=1e-4, atol=1e-5)
    assert float(found.norm()) > 1e-3


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_one_matrix_learns(kind: Any) -> None:
    chosen = LUNAR(layer=1, strength=8.0)
    (stage,) = chosen.stages()
    model = base(kind)
    assert isinstance(stage, Train) and stage.parameters
    named = dict(model.module.named_parameters())
    (name,) = [n for n in named if stage.parameters(model, n)]
    assert named[name].dim() == 2 and model.is_perceptron(name) and model.layer_of(name) == 1
    moving = Bench(LUNAR, kind).model()
    before = snapshot(moving)
    Bench(LUNAR, kind).run(moving, chosen)
    assert changed(before, snapshot(moving)) == {name}


def test_the_layer_is_the_twenty_third_of_thirty_two() -> None:
    layers = {d: LUNAR()._layer(GivenModel.drawn(0, depth=d)) for d in (32, 16, 2, 1)}
    assert layers == {32: 23, 16: 12, 2: 1, 1: 1}
