"""Gradient rules against vectors in the plane, and in the loop."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from clearbench.errors import RecipeError
from clearbench.methods.base import Step, Train, method
from clearbench.methods.losses import Term, uniform
from clearbench.methods.rules import (
    AVERAGE,
    RULES,
    Rule,
    bargaining,
    nearest,
    pcgrad,
    projection,
    rectification,
)
from clearbench.models.base import Model
from clearbench.testing import tiny_dataset, tiny_model
from clearbench.testing.by_hand import changed, snapshot
from clearbench.testing.world import few_steps
from clearbench.training.unlearn import unlearn

NAMES = ("forget", "retain")


def mixed(rule: Rule, *gradients: tuple[float, ...], names: tuple[str, ...] = NAMES) -> Tensor:
    stacked = torch.tensor(gradients, dtype=torch.double)
    coefficients = rule(stacked @ stacked.T, names)
    return coefficients @ stacked


def test_projection_leaves_no_conflict() -> None:
    found = mixed(projection, (-3.0, 1.0), (2.0, 0.0))
    assert found.tolist() == pytest.approx([0.0, 1.0])
    assert mixed(projection, (3.0, 1.0), (2.0, 0.0)).tolist() == [3.0, 1.0], "no conflict"
    assert mixed(projection, (3.0, 1.0), (0.0, 0.0)).tolist() == [3.0, 1.0], "no retain gradient"


def test_other_terms_keep_their_gradients() -> None:
    names = ("forget", "random", "retain")
    found = mixed(projection, (-3.0, 1.0), (0.0, 5.0), (2.0, 0.0), names=names)
    assert found.tolist() == pytest.approx([0.0, 6.0])


@pytest.mark.parametrize(("weight", "expected"), [(0.0, [4.0, 0.0]), (1.0, [2.0, 1.0])])
def test_the_nearest_direction(weight: float, expected: list[float]) -> None:
    assert mixed(nearest(weight), (4.0, 0.0), (0.0, 2.0)).tolist() == pytest.approx(expected)


def test_pcgrad_projects_each_on_the_other() -> None:
    """(1, 0) and (-1, 1) conflict: (1, 0) becomes (.5, .5), (-1, 1) becomes (0, 1)."""
    assert mixed(pcgrad, (1.0, 0.0), (-1.0, 1.0)).tolist() == pytest.approx([0.5, 1.5])
    assert mixed(pcgrad, (1.0, 0.0), (0.0, 1.0)).tolist() == [1.0, 1.0]
    three = mixed(pcgrad, (1.0, 0.0), (-1.0, 1.0), (0.0, 0.5), names=("a", "b", "c"))
    assert three.tolist() == pytest.approx([0.5, 2.0])


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.5])
def test_a_bargain_solves_its_equation(angle: float) -> None:
    """G^T G alpha = 1 / alpha."""
    first, second = (2.0, 0.0), (0.3 * math.cos(angle), 0.3 * math.sin(angle))
    stacked = torch.tensor([first, second], dtype=torch.double)
    gram = stacked @ stacked.T
    alpha = bargaining(gram, NAMES)
    torch.testing.assert_close(gram @ alpha, 1 / alpha)


def test_a_rule_says_what_it_misses() -> None:
    with pytest.raises(RecipeError, match="needs a term 'forget'"):
        mixed(projection, (1.0, 0.0), (1.0, 0.0), names=("norm", "retain"))
    with pytest.raises(RecipeError, match="a bargain of two among forget, retain, norm"):
        mixed(bargaining, (1.0, 0.0), (1.0, 0.0), (1.0, 0.0), names=(*NAMES, "norm"))


settings = partial(few_steps, "language", learning_rate=3e-3)


def run(name: str, **changes: Any) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    model = tiny_model()
    history = unlearn(model, tiny_dataset(), method(name), ("text",), settings(**changes))
    return {n: p.detach() for n, p in model.trainable().items()}, history


def test_coefficients_of_one_are_the_plain_sum() -> None:
    """The path with a gradient for each term, against one backward pass."""
    from clearbench.training import loop

    plain, first = run("gradient_difference")
    loop.RULES["ones"] = lambda gram, names: torch.ones(len(names), dtype=gram.dtype)
    try:
        about = settings().model_copy(update={"rule": "ones"})
        model = tiny_model()
        gd = method("gradient_difference")
        second = unlearn(model, tiny_dataset(), gd, ("text",), about)
    finally:
        del loop.RULES["ones"]
    for name, weight in model.trainable().items():
        torch.testing.assert_close(weight.detach(), plain[name], atol=2e-4, rtol=1e-4)
    assert first[0] == pytest.approx(second[0], rel=1e-5)


@pytest.mark.parametrize("rule", list(RULES))
def test_rules_are_the_same_in_micro_batches(rule: str) -> None:
    _, whole = run("gradient_difference", rule=rule)
    _, cut = run("gradient_difference", rule=rule, accumulate=2)
    for a, b in zip(whole, cut, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_the_penalty_is_added_to_what_a_rule_leaves() -> None:
    about = {"strength": 1e-3, "on": "theta"}
    _, without = run("gradient_difference", rule="projection", clip=1e9)
    _, penalised = run("gradient_difference", rule="projection", penalty=about, clip=1e9)
    assert "penalty" in penalised[0]
    assert penalised[0]["gradient_norm"] != without[0]["gradient_norm"]


def test_a_rule_changes_no_logged_value() -> None:
    _, plain = run("gradient_difference")
    _, ruled = run("gradient_difference", rule="pcgrad")
    for name in ("forget", "retain", "loss"):
        assert plain[0][name] == pytest.approx(ruled[0][name], rel=1e-6)


def test_weights_that_no_term_reaches_have_no_gradient() -> None:
    """As after one backward pass, so that weight decay leaves them alone on every road."""

    def loss(step: Step) -> dict[str, Term]:
        name, weight = next(iter(step.model.trainable().items()))
        assert name
        return {"forget": uniform(weight.square().sum().reshape(1)), "retain": uniform(weight[:1])}

    from clearbench.training.loop import train

    for rule in (None, pcgrad):
        model = tiny_model()
        before = snapshot(model)
        stage = Train(loss, needs=(), rule=rule)
        train(model, stage, lambda *_: {}, settings(weight_decay=0.5), 0)
        embedding = {"model.embed_tokens.weight", "lm_head.weight"}  # one matrix, two names
        assert changed(before, snapshot(model)) == embedding


def test_rectification_removes_what_opposes_the_average() -> None:
    """By hand: <(-3, 1), (2, 0)> = -6 opposes, so 1.5 (2, 0) is added; retain is not."""
    names = ("forget", "retain", AVERAGE)
    assert mixed(rectification, (-3.0, 1.0), (0.0, 9.0), (2.0, 0.0), names=names).tolist() == [0, 1]
    kept = mixed(rectification, (3.0, 1.0), (0.0, 9.0), (2.0, 0.0), names=names)
    assert kept.tolist() == [3, 1], "no conflict"
    three = ("forget", "random", "retain", AVERAGE)
    whole = mixed(rectification, (-3.0, 1.0), (1.0, 5.0), (0.0, 9.0), (2.0, 0.0), names=three)
    assert whole.tolist() == [0, 6], "the gradient of the loss is one vector"


def drifting(step: Step) -> dict[str, Term]:
    """Losses whose gradients are given vectors of a step, whatever the weights."""
    weights = torch.cat([weight.flatten() for weight in step.model.trainable().values()])
    pulls = pull(step.number, len(weights))
    return {
        role: uniform((weights * vector.to(weights)).sum().reshape(1))
        for role, vector in zip(NAMES, pulls, strict=True)
    }


def pull(step: int, size: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(step)
    both = torch.randn(2, size, generator=rng, dtype=torch.double)
    return both[0] - 0.5 * both[1], both[1] + torch.randn(size, generator=rng) * 0.1


@pytest.mark.parametrize("share", [0.8, 0.3, 1.0])
def test_gru_in_the_loop_against_vectors(share: float) -> None:
    """The norm of every step's gradient, with the moving average computed here."""
    from clearbench.training.loop import train

    model = tiny_model()
    size = sum(weight.numel() for weight in model.trainable().values())
    about = settings(rule="gru", clip=1e9, retain_average=share, steps=4)
    history, _ = train(model, Train(drifting, needs=()), lambda *_: {}, about, 0)
    average, expected = torch.zeros(size, dtype=torch.double), []
    for step in range(4):
        gradient, retain = pull(step, size)
        average = share * retain + (1 - share) * average
        inner = float(gradient @ average)
        assert inner < 0, "the vectors are drawn so that they oppose each other"
        expected.append(float((gradient - inner / float(average @ average) * average).norm()))
    assert [values["gradient_norm"] for values in history] == pytest.approx(expected, rel=1e-5)


def test_gru_resumes_with_its_average(tmp_path: Path) -> None:
    from clearbench.training.loop import train

    def steps(model: Model, folder: Path | None, last: int = 5) -> list[dict[str, float]]:
        def stop(done: int, *_: Any) -> None:
            if done > last:
                raise KeyboardInterrupt

        about = settings(rule="gru", steps=5, checkpoint_seconds=1e-9, retain_average=0.3)
        stage = Train(drifting, needs=())
        return train(model, stage, lambda *_: {}, about, 0, checkpoints=folder, on_step=stop)[0]

    whole = steps(tiny_model(), None)
    with pytest.raises(KeyboardInterrupt):
        steps(tiny_model(), tmp_path, last=3)
    assert steps(tiny_model(), tmp_path) == whole


def test_gru_with_the_newest_gradient_alone_is_projection() -> None:
    _, first = run("gradient_difference", rule="gru", retain_average=1.0)
    _, second = run("gradient_difference", rule="projection")
    for a, b in zip(first, second, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_an_average_that_nothing_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="retain_average needs rule 'gru'"):
        settings(retain_average=0.5)
