"""Circuit breakers' two terms against sums in numpy: layers, schedule, nudge and what learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from clearbench.methods.base import Train, method
from clearbench.methods.losses import Term
from clearbench.testing.bench import Bench
from clearbench.testing.by_hand import Array, changed, check_term, snapshot
from clearbench.testing.given import WORDS, GivenModel, given_step
from clearbench.testing.world import base

#: Draws states of which some are more than a right angle apart.
SEED = 3
MODEL, REFERENCE = GivenModel.drawn(0), GivenModel.drawn(SEED)
#: Another direction for each layer, none of unit length in the axes.
STATE = {
    f"nudge|{layer}": torch.nn.functional.normalize(torch.arange(layer, layer + WORDS) - 2.5, dim=0)
    for layer in (1, 2, 3, 4)
}


def terms(
    number: int = 0, steps: int = 3, reference: GivenModel = REFERENCE, **about: Any
) -> dict[str, Term]:
    step = given_step(MODEL, reference, state=STATE, number=number, steps=steps)
    return method("circuit_breakers", **about).loss(step)


def cosines(layer: int, nudge: float) -> Array:
    """Cosine per forget token between the state and the original's, which is nudged."""
    found = []
    direction = STATE[f"nudge|{layer}"].numpy()
    states = (layer * model.array("forget") for model in (MODEL, REFERENCE))
    for ours, theirs in zip(*states, strict=True):
        turned = theirs + nudge * np.sqrt((theirs**2).sum()) * direction
        found.append((ours @ turned) / np.sqrt((ours @ ours) * (turned @ turned)))
    return np.array(found)


def test_the_forget_term_is_the_positive_part_of_the_cosine() -> None:
    raw = np.concatenate([cosines(1, 0.2), cosines(3, 0.2)])
    assert raw.min() < 0 < raw.max()
    found = terms(layers=(3, 1), alpha=4.0, nudge=0.2)["forget"]
    check_term(found, 4.0 * (1 - 1 / 6) * np.maximum(raw, 0))


def test_without_a_nudge_it_is_the_cosine_with_the_original() -> None:
    check_term(terms(layers=(2,), alpha=1.0, nudge=1e-12)["forget"], 5 / 6 * _plain_positive())


def _plain_positive() -> Array:
    ours, theirs = MODEL.array("forget"), REFERENCE.array("forget")
    sizes = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray(np.maximum((ours * theirs).sum(1) / sizes, 0))


def test_the_retain_term_is_the_distance_not_its_square() -> None:
    apart = MODEL.array("retain") - REFERENCE.array("retain")
    length = np.sqrt((apart**2).sum(-1))
    found = terms(layers=(1, 4), alpha=6.0)["retain"]
    check_term(found, 6.0 / 6 * np.concatenate([length, 4 * length]))


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_coefficients_meet_at_the_last_step(number: int) -> None:
    """Published: retain alpha t / 300 and forget alpha (1 - t / 300) over 150 steps."""
    found = terms(number, 4, layers=(1,), alpha=10.0)
    share = (number + 1) / 8
    apart = np.linalg.norm(MODEL.array("retain") - REFERENCE.array("retain"), axis=-1)
    np.testing.assert_allclose(found["retain"].values.detach(), 10 * share * apart, rtol=1e-9)
    first = terms(0, 10**9, layers=(1,), alpha=10.0)["forget"].values.detach()
    np.testing.assert_allclose(found["forget"].values.detach(), (1 - share) * first, rtol=1e-6)


def test_only_the_nudge_moves_a_model_that_is_still_the_original() -> None:
    """|gradient| of cos(h, h + n |h| u) in h is sin / |h|: none without a nudge, none of retain."""
    same = GivenModel({r: v.detach() for r, v in MODEL.logits.items()})
    for nudge in (1e-9, 0.1):
        found = terms(reference=same, layers=(1,), alpha=1.0, nudge=nudge)
        assert not MODEL.slope(found["retain"].mean, "retain").any()
        slope = MODEL.slope(found["forget"].total, "forget")
        states = MODEL.array("forget")
        sizes = np.linalg.norm(states, axis=1)
        along = states @ STATE["nudge|1"].numpy() / sizes
        sines = nudge * np.sqrt((1 - along**2) / (1 + nudge**2 + 2 * nudge * along))
        np.testing.assert_allclose(
            np.linalg.norm(slope, axis=1), 5 / 6 * sines / sizes, rtol=1e-6, atol=1e-14
        )


def test_layers_are_ten_and_twenty_of_thirty_two() -> None:
    chosen: Any = method("circuit_breakers")
    for depth, layers in ((32, [10, 20]), (16, [5, 10]), (2, [1]), (1, [1])):
        assert chosen._layers(GivenModel.drawn(0, depth=depth)) == layers
    assert chosen._layers(GivenModel.drawn(0, kind="classifier", depth=4)) == (4,)


def test_directions_are_unit_vectors_of_the_seed() -> None:
    bench = Bench(type(method("circuit_breakers")), "language")
    model = bench.model()
    drawn = [bench.chosen.prepare(model, bench.rows(model), seed) for seed in (0, 0, 1)]
    (one,), (again,), (other,) = (state.values() for state in drawn)
    assert torch.equal(one, again) and not torch.allclose(one, other)
    assert float(one.norm()) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["language", "vision-language"])
def test_only_layers_up_to_the_higher_one_learn(kind: Any) -> None:
    chosen = method("circuit_breakers", layers=(1,), nudge=0.3)
    model = base(kind)
    (stage,) = chosen.stages()
    assert isinstance(stage, Train) and stage.parameters
    learns = {n for n, _ in model.module.named_parameters() if stage.parameters(model, n)}
    assert learns
    assert {(model.part_of(n), model.layer_of(n)) for n in learns} == {("language", 1)}
    bench = Bench(type(chosen), kind)
    moving = bench.model()
    before = snapshot(moving)
    bench.run(moving, chosen)
    assert changed(before, snapshot(moving)) <= learns
