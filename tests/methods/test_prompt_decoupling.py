"""The loss on decoupled rows, added by the settings to any method that trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from clearbench.batches.kind import Kind
from clearbench.errors import RecipeError
from clearbench.methods.base import method
from clearbench.methods.decoupling import decoupling_term
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import check_term
from clearbench.testing.given import GivenModel, given_step
from clearbench.testing.world import few_steps
from clearbench.training.roles import Roles
from clearbench.training.unlearn import unlearn


def run(name: str, kind: Kind = "language", **about: Any) -> list[dict[str, float]]:
    track = "image" if kind == "classifier" else "text"
    chosen = method(name)
    return unlearn(tiny_model(kind), tiny_dataset(), chosen, (track,), few_steps(kind, **about))


def test_the_term_is_cross_entropy_of_the_decoupled_rows() -> None:
    model = GivenModel.drawn(3)
    found = decoupling_term(given_step(model), 0.5)
    check_term(found["decoupling"], 0.5 * model.losses("decoupled"))
    assert not torch.allclose(
        found["decoupling"].values, 0.5 * torch.as_tensor(model.losses("retain"))
    )


@pytest.mark.parametrize("kind", ["language", "vision-language", "classifier"])
def test_it_is_added_to_the_method_s_own_terms(kind: Kind) -> None:
    """The first step's value, from a fresh pass over the rows of the role."""
    plain = run("gradient_difference", kind)
    both = run("gradient_difference", kind, prompt_decoupling=0.5)
    for name in ("forget", "retain"):
        assert both[0][name] == pytest.approx(plain[0][name], rel=1e-6)
    total = both[0]["forget"] + both[0]["retain"] + both[0]["decoupling"]
    assert both[0]["loss"] == pytest.approx(total)
    assert both[-1] != plain[-1]


def first_gradients(**about: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of -L(forget), L(retain) and L(decoupled) on the first step's rows."""
    from clearbench.training.feed import unlearning_feed

    model, data, settings = tiny_model(), tiny_dataset(), few_steps("language", **about)
    roles = Roles(model, data)
    feed = unlearning_feed(data, ("text",), settings.rows, 0, roles, ("decoupled",))
    drawn, parts = feed(0, 0), []
    for role, sign in (("forget", -1.0), ("retain", 1.0), ("decoupled", 1.0)):
        answers = model.answers(model.batch(drawn[role]))
        loss = sign * functional.cross_entropy(answers.logits, answers.targets)
        weights = list(model.trainable().values())
        got = torch.autograd.grad(loss, weights, materialize_grads=True)
        parts.append(torch.cat([part.flatten() for part in got]))
    return parts[0], parts[1], parts[2]


def test_the_gradient_is_the_weighted_sum() -> None:
    forget, retain, other = first_gradients()
    found = run("gradient_difference", clip=1e9, prompt_decoupling=0.5)[0]["gradient_norm"]
    assert found == pytest.approx(float((forget + retain + 0.5 * other).norm()), rel=1e-4)


def test_a_rule_leaves_it_as_it_is() -> None:
    forget, retain, other = first_gradients()
    opposed = min(0.0, float(forget @ retain / (retain @ retain)))
    assert opposed < 0
    left = forget - opposed * retain + 0.5 * other
    for rule in ("projection", "gru"):
        found = run("gradient_difference", rule=rule, clip=1e9, prompt_decoupling=0.5)
        assert found[0]["gradient_norm"] == pytest.approx(float(left.norm()), rel=1e-4)


def test_micro_batches_change_nothing() -> None:
    whole = run("npo", prompt_decoupling=0.5)
    for a, b in zip(whole, run("npo", prompt_decoupling=0.5, accumulate=2), strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_only_the_stage_that_forgets_has_it() -> None:
    """UNSIR repairs after it has impaired."""
    history = run("unsir", "classifier", prompt_decoupling=0.5, steps=4)
    assert ["decoupling" in values for values in history] == ["forget" in v for v in history]
    assert len({"forget" in values for values in history}) == 2


@pytest.mark.parametrize(
    ("name", "why"), [("task_vector", "does not forget step by step"), ("ssd", "trains nothing")]
)
def test_a_method_without_such_a_stage_refuses_it(name: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        run(name, prompt_decoupling=0.5)


def test_a_method_with_its_own_refuses_it() -> None:
    with pytest.raises(RecipeError, match="sine_project takes no decoupled prompts: it brings"):
        settings = few_steps("vision-language", prompt_decoupling=0.5)
        data, model = tiny_dataset(), tiny_model("vision-language")
        unlearn(model, data, method("sine_project"), ("image",), settings)


def test_it_needs_people_to_keep() -> None:
    data = tiny_dataset()
    alone = replace(data, training={"forget": data.training["forget"]})
    with pytest.raises(RecipeError, match="no retained person"):
        settings = few_steps("language", prompt_decoupling=0.5)
        unlearn(tiny_model(), alone, method("gradient_ascent"), ("text",), settings)
