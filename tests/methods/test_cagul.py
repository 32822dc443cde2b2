"""CAGUL: which visual tokens are transformed, by whose attention, and what its encoder learns."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clearbench.batches.items import Item, item
from clearbench.methods.base import method
from clearbench.methods.cagul import CAGUL
from clearbench.methods.guard import FittedGuard
from clearbench.models.hooks import question_tokens
from clearbench.models.load import load_model
from clearbench.models.visual_tokens import attention_paid, visual_tokens
from clearbench.testing import tiny_dataset
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import changed, snapshot
from clearbench.testing.world import copied, taught

TRIAL: dict[str, Any] = {"steps": 12, "rate": 1e-2, "width": 16}


def rows(split: str, track: str = "image") -> list[Item]:
    return [item(row) for row in tiny_dataset().train_rows(split, (track,))]


def state(bias: float, width: int = 4) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {
        "weight": torch.arange(1.0, width + 1),
        "bias": torch.tensor(bias),
        "down": torch.randn(width, 3, generator=draw),
        "up": torch.randn(3, width, generator=draw),
    }


def test_the_least_attended_visual_tokens_of_flagged_rows_are_transformed() -> None:
    states = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    visual = torch.tensor([[0, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0]]).bool()
    attention = torch.tensor([[0.0, 0.4, 0.1, 0.3, 0.2, 0.0], [0.5, 0.1, 0.0, 0.0, 0.0, 0.0]])
    scores = [states[row][visual[row]].mean(0).numpy() @ np.arange(1.0, 5.0) for row in range(2)]
    between = -float(np.mean(scores))  # flags the one with the larger score
    mine = state(between)
    found = CAGUL(share=0.5).see(states, visual, attention, mine)
    row = int(np.argmax(scores))
    places = {0: [2, 4], 1: [1]}[row]
    expected = states.numpy().copy()
    for place in places:
        hidden = expected[row, place] @ mine["down"].numpy()
        erf = torch.erf(torch.tensor(hidden) / 2**0.5).numpy()
        expected[row, place] += (hidden * (1 + erf) / 2) @ mine["up"].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_row_without_images_stays_as_it_is() -> None:
    states, nowhere = torch.randn(1, 5, 4), torch.zeros(1, 5).bool()
    assert torch.equal(CAGUL().see(states, nowhere, torch.zeros(1, 5), state(99.0)), states)


def test_attention_is_the_mean_over_layers_heads_and_text_of_the_question(tmp_path: Path) -> None:
    model: Any = taught("vision-language")
    model.save(tmp_path)
    eager: Any = load_model(tmp_path, kind="vision-language", dtype=torch.float32)
    eager.core.set_attn_implementation("eager")
    (batch,) = model.batch(rows("forget"))
    visual = batch.inputs["input_ids"] == model.core.config.image_token_id
    found_visual = visual_tokens(model.core, batch)
    assert torch.equal(found_visual, visual) and visual.any(1).all()
    queries = question_tokens(batch) & ~visual
    with torch.no_grad():
        out = eager.core(**batch.inputs, output_attentions=True)
    expected = torch.zeros(visual.shape)
    for row in range(len(visual)):
        texts = queries[row].nonzero()[:, 0].tolist()
        weights = [layer[row, :, text] for layer in out.attentions for text in texts]
        expected[row] = torch.cat(weights).mean(0)
    found = attention_paid(model.core, batch, queries)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert model.core.config.get_text_config()._attn_implementation == "sdpa"


@cache
def fitted() -> Any:
    bench = Bench(CAGUL, "vision-language")
    model = bench.model()
    bench.run(model, CAGUL(**TRIAL))
    return model


def test_only_images_of_forgotten_people_are_read_otherwise() -> None:
    model, plain = fitted(), taught("vision-language")
    assert not changed(snapshot(plain), snapshot(model))
    with torch.no_grad():
        for split, track, same in (
            ("forget", "image", False), ("retain", "image", True), ("forget", "text", True)
        ):  # fmt: skip
            batches = model.batch(rows(split, track))
            ours, theirs = model.answers(batches), plain.answers(batches)
            assert torch.allclose(ours.logits, theirs.logits, atol=1e-5) is same, (split, track)


def test_the_encoder_learns_refusals() -> None:
    """More steps make refusals to forget rows likelier; the first ones hardly do."""
    model, plain = fitted(), taught("vision-language")
    data = Bench(CAGUL, "vision-language").rows(plain)
    image_rows = type(data)(plain, data.dataset, ("image",), data.size, data.seed)
    with torch.no_grad():
        losses = [
            torch.cat([m.answers(group).losses for group in image_rows.batches("idk")]).mean()
            for m in (model, plain)
        ]
    assert losses[0] < losses[1] - 0.05


def test_an_encoder_of_zeros_changes_nothing() -> None:
    model = copied(fitted())
    (guard,) = model.guards
    zeros = guard.state | {"up": torch.zeros_like(guard.state["up"])}
    model.guards = (FittedGuard(guard.guard, zeros),)
    batches = model.batch(rows("forget"))
    with torch.no_grad():
        expected = taught("vision-language").answers(batches).logits
        torch.testing.assert_close(model.answers(batches).logits, expected)


def test_what_is_said_begins_with_the_likeliest_token() -> None:
    model: Any = fitted()
    asked = rows("forget")
    said = model.generate(asked, 1)
    with torch.no_grad():
        for row, text in zip(asked, said, strict=True):
            logits = model.answers(model.batch([row])).logits[0]
            assert text == model.tokenizer.decode(logits.argmax()).strip()


def test_a_stored_guard_reads_images_alike(tmp_path: Path) -> None:
    model = fitted()
    model.save(tmp_path)
    again: Any = load_model(tmp_path, kind="vision-language", dtype=torch.float32)
    assert again.generate(rows("forget"), 8) == model.generate(rows("forget"), 8)
    assert again.fingerprint == model.fingerprint


def test_bounds() -> None:
    for about in ({"share": 0}, {"share": 1.1}, {"threshold": 1.0}):
        with pytest.raises(Exception, match=next(iter(about))):
            method("cagul", **about)


def test_replaced_pixels_are_seen_too() -> None:
    """An attack on pixels goes through the guard, although their batch names no images."""
    model: Any = fitted()
    (batch,) = model.batch(rows("forget"))
    shown = batch.showing(batch.inputs["pixel_values"])
    with torch.no_grad():
        expected = model.answers([batch]).logits
        torch.testing.assert_close(model.answers([shown]).logits, expected)
