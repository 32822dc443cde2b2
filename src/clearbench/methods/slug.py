"""Changes one layer by one step along the gradient of the forget loss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import torch, without_gradient
from clearbench.methods.base import Data, Method, Model
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import importance
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor

_NO_LAYER = re.compile(r"embed|position")
#: The first step, as a share of the layer's norm.
_FIRST = 0.1


class SLUG(
    Method,
    name="slug",
    paper=Paper(
        "Targeted Unlearning with Single Layer Unlearning Gradient",
        2024,
        "2407.11867",
        "CSIPlab/SLUG",
    ),
    needs=("forget", "retain", "unsharded"),
    status="adapted",
    trial={"search_steps": 4},
):
    """Single layer unlearning gradient: one step on one matrix along the forget gradient.

    Candidates lie on the Pareto front of large importance |g_F| / |theta| and small alignment
    |cos(g_F, g_R)|. The step begins at a tenth of the layer's norm and is doubled or bisected, in
    some ten steps, to the smallest that brings the accuracy on forget down to the target; of the
    candidates that get there the one with the best accuracy on retain stays.

    Published are the front, the first step, the number of steps and the target of 0. Ours: the
    accuracy is the share of rows whose every answer token is the first choice, where the authors
    classify images of the person, by the first name in one script and the first five in another;
    the losses are those of the answers, where they use CLIP's and copy the layer into the model
    whose tower is CLIP's; candidates are matrices, where one of their scripts admits the weights
    of normalisations too. `vision` is the part that the paper changes.
    """

    forget_accuracy: float = Field(default=0.0, ge=0, lt=1)
    search_steps: int = Field(default=10, ge=1)

    def edit(self, model: Model, data: Data) -> None:
        """Theta_l <- theta_l + lambda g_F, for the layer and the lambda found by search."""
        layers = {
            name: weight
            for name, weight in model.trainable().items()
            if weight.dim() > 1 and not _NO_LAYER.search(name)
        }
        forget = importance(model, data.batches("forget"), measure=lambda gradient: gradient)
        retain = importance(model, data.batches("retain"), measure=lambda gradient: gradient)
        tried = []
        for name in pareto_front(layers, forget, retain):
            weight, start = layers[name], layers[name].detach().clone()
            step = self._search(model, data, weight, forget[name])
            _move(weight, start, step, forget[name])
            left = max(self.forget_accuracy, accuracy(model, data.batches("forget")))
            tried.append((left, -accuracy(model, data.batches("retain")), name, step))
            _move(weight, start, 0.0, forget[name])
        *_, name, step = min(tried)
        _move(layers[name], layers[name].detach().clone(), step, forget[name])

    def _search(self, model: Model, data: Data, weight: Tensor, direction: Tensor) -> float:
        """Searches the smallest step that reaches the target; the largest where none does."""
        start = weight.detach().clone()
        step = _FIRST * float(start.norm() / direction.norm().clamp_min(1e-30))
        low, high = 0.0, None
        for _ in range(self.search_steps):
            _move(weight, start, step, direction)
            if accuracy(model, data.batches("forget")) <= self.forget_accuracy:
                high = step
            else:
                low = step
            step = 2 * step if high is None else (low + high) / 2
        _move(weight, start, 0.0, direction)
        return low if high is None else high


@without_gradient
def pareto_front(
    weights: Mapping[str, Tensor], forget: Mapping[str, Tensor], retain: Mapping[str, Tensor]
) -> list[str]:
    """Selects the layers that no other one surpasses in both importance and alignment."""
    points = {
        name: (
            -float(forget[name].norm() / weight.norm().clamp_min(1e-30)),
            abs(float(torch.cosine_similarity(forget[name].flatten(), retain[name].flatten(), 0))),
        )
        for name, weight in weights.items()
    }
    return [
        name
        for name, (importance_, alignment) in points.items()
        if not any(i < importance_ and a < alignment for i, a in points.values())
    ]


@without_gradient
def accuracy(model: Model, batches: Iterable[Batches]) -> float:
    """The share of rows whose every answer token is the model's first choice."""
    right = rows = 0
    for group in batches:
        answers = model.answers(group)
        missed = (answers.logits.argmax(-1) != answers.targets).float()
        right += int((answers.per_row(missed) == 0).sum())
        rows += len(answers.items)
    return right / max(1, rows)


@without_gradient
def _move(weight: Tensor, start: Tensor, step: float, direction: Tensor) -> None:
    weight.copy_(start + step * direction)
