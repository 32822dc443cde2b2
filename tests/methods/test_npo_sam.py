"""Sharpness-aware forgetting against its gradient at weights moved by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_pre_hook

from clearbench.methods.base import Step, method
from clearbench.methods.losses import Term
from clearbench.methods.npo_sam import NPOSAM
from clearbench.methods.step import Batches, Model
from clearbench.testing import tiny_dataset
from clearbench.testing.by_hand import changed
from clearbench.testing.world import copied, taught
from clearbench.training.settings import TrainSettings
from clearbench.training.unlearn import unlearn

ABOUT: dict[str, Any] = {
    "steps": 2, "batch_size": 4, "learning_rate": 3e-3, "warmup": 0.0, "clip": 1e9,
}  # fmt: skip


def run(name: str, model: Any = None, train: dict[str, Any] | None = None, **about: Any) -> Any:
    settings = TrainSettings.of(**ABOUT | (train or {}), parts=("language",))
    chosen = method(name, **about)
    started = copied(taught("language")) if model is None else model
    return unlearn(started, tiny_dataset(), chosen, ("text",), settings)


class Watched:
    """The weights, rows and gradients of each micro-batch and update."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self.weights: list[dict[str, Tensor]] = []
        self.gradients: list[list[Tensor]] = []
        plain = NPOSAM.loss

        def spied(method: NPOSAM, step: Step) -> dict[str, Term]:
            self.steps.append(step)
            weights = step.model.trainable()
            self.weights.append({name: w.detach().clone() for name, w in weights.items()})
            return plain(method, step)

        patch.setattr(NPOSAM, "loss", spied)

    def on_update(self, optimizer: Any, *_: Any) -> None:
        (group,) = optimizer.param_groups
        self.gradients.append([weight.grad.detach().clone() for weight in group["params"]])


def whole_answers(model: Any, batches: Batches) -> Tensor:
    answers = model.answers(batches)
    logs = torch.log_softmax(answers.logits, -1)[range(len(answers.targets)), answers.targets]
    rows = [logs[answers.rows == row].sum() for row in range(len(answers.items))]
    return torch.stack(rows)


def forget_loss(model: Any, original: Model, steps: list[Step], beta: float) -> Tensor:
    """(2/b) log(1 + (p/p_0)^b), the mean over the rows of all micro-batches."""
    ratios = []
    for step in steps:
        with torch.no_grad():
            before = whole_answers(original, step.forget)
        ratios.append(whole_answers(model, step.forget) - before)
    return (2 / beta * torch.log1p((beta * torch.cat(ratios)).exp())).mean()


def retain_loss(model: Any, steps: list[Step]) -> Tensor:
    answers = [model.answers(step.retain) for step in steps]
    logits, targets = (torch.cat([getattr(a, n) for a in answers]) for n in ("logits", "targets"))
    return functional.cross_entropy(logits, targets)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_npo_sam(accumulate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second update's gradient, after the first has moved the model off the original."""
    beta, rho, weight = 0.5, 0.05, 3.0
    seen, original = Watched(monkeypatch), taught("language")
    handle = register_optimizer_step_pre_hook(seen.on_update)
    about = {"beta": beta, "rho": rho, "retain_weight": weight}
    history = run("npo_sam", train={"accumulate": accumulate}, **about)
    handle.remove()
    steps, weights = seen.steps[accumulate:], seen.weights[accumulate]
    model: Any = copied(original)
    model.train_only(("language",))
    learning = model.trainable()
    with torch.no_grad():
        for name, value in learning.items():
            value.copy_(weights[name])
    plain = forget_loss(model, original, steps, beta)
    ascent = torch.autograd.grad(plain, list(learning.values()), retain_graph=True)
    length = torch.cat([part.flatten() for part in ascent]).norm()
    kept = torch.autograd.grad(retain_loss(model, steps), list(learning.values()))
    with torch.no_grad():
        for value, part in zip(learning.values(), ascent, strict=True):
            value.add_(part, alpha=float(rho / length))
    moved = forget_loss(model, original, steps, beta)
    forgot = torch.autograd.grad(moved, list(learning.values()))
    assert history[1]["forget"] == pytest.approx(float(moved.detach()), rel=1e-5)
    assert float((moved - plain).detach()) == pytest.approx(float(rho * length), rel=0.2), (
        "it is an ascent"
    )
    found = torch.cat([part.flatten() for part in seen.gradients[1]])
    expected = torch.cat([(f + weight * r).flatten() for f, r in zip(forgot, kept, strict=True)])
    unmoved = torch.cat([(a + weight * r).flatten() for a, r in zip(ascent, kept, strict=True)])
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    assert float((found - unmoved).norm() / expected.norm()) > 1e-3, "it differs from NPO's"


def test_npo_sam_at_rho_0_is_npo() -> None:
    first, second = copied(taught("language")), copied(taught("language"))
    sharp, plain = run("npo_sam", first, rho=0.0), run("npo", second)
    for mine, theirs in zip(sharp, plain, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)


def test_npo_sam_leaves_the_weights_where_they_were_while_the_gradient_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, model = Watched(monkeypatch), copied(taught("language"))
    start = {name: value.detach().clone() for name, value in model.trainable().items()}
    run("npo_sam", model, {"steps": 1, "learning_rate": 1e-6, "weight_decay": 0.0}, rho=10.0)
    assert not changed(seen.weights[0], start)
    end = model.trainable()
    assert max(float((end[name] - value).detach().abs().max()) for name, value in start.items()) < (
        1.1e-6
    ), "an update of Adam's at most"


def test_a_probe_sees_neither_masked_weights_nor_the_penalty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = Watched(monkeypatch)
    for train in ({}, {"penalty": {"strength": 0.1, "on": "theta"}}, {"saliency": 0.1}):
        run("npo_sam", train={"steps": 1, **train})
    free, penalised, masked = (
        torch.cat([part.flatten() for part in step.gradient.values()]) for step in seen.steps
    )
    assert torch.equal(free, penalised)
    assert 0 < float((masked != 0).float().mean()) <= 0.11 < float((free != 0).float().mean())
    assert torch.equal(masked, torch.where(masked != 0, free, 0))
