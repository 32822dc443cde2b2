"""Adds noise to the weights on which the answers to retain rows depend least."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, State
from clearbench.methods.paper import Paper
from clearbench.methods.step import Batches


class Fisher(
    Method,
    name="fisher",
    paper=Paper(
        "Eternal Sunshine of the Spotless Net: Selective Forgetting in Deep Networks",
        2019,
        "1911.04933",
        "AdityaGolatkar/SelectiveForgetting",
    ),
    needs=("retain",),
    trial={"noise": 1e-7},
):
    """Noise on every weight, larger where the answers on the retain set depend on it less.

    The covariance is the paper's Proposition 4 with the Fisher information F for the Hessian:
    sqrt(noise) F^(-1/2), so a standard deviation of (noise / F)^(1/4), with lambda sigma_h^2 as
    `noise`. The published code has (alpha / F)^(1/2) instead, averages its square over the inputs
    of each output, and multiplies that by 10 in normalisations and the head. F is bounded below by
    `floor`, as there (1 / F up to 1000). 1e-9 gives a weight at the floor the noise of the code's
    alpha, 1e-6.
    """

    noise: float = Field(default=1e-9, ge=0)
    floor: float = Field(default=1e-3, gt=0)

    def edit(self, model: Model, data: Data) -> None:
        """Theta += (noise / F)^(1/4) N(0, 1)."""
        information = fisher_information(model, data.batches("retain"))
        with torch.no_grad():
            for name, weight in model.trainable().items():
                deviation = (self.noise / information[name].clamp_min(self.floor)) ** 0.25
                weight.add_(deviation * torch.randn_like(weight))


def fisher_information(model: Model, batches: Iterable[Batches]) -> State:
    """Computes the diagonal of a row's Fisher information, averaged over all rows.

    E (d log p / d theta)^2 over answers of the model itself: one token is drawn at each place,
    after the row's own tokens before it. One backward pass a row.
    """
    weights = model.trainable()
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = 0
    for group in batches:
        answers = model.answers(group)
        log_probs = answers.logits.log_softmax(-1)
        drawn = torch.multinomial(log_probs.detach().exp(), 1)
        rows = answers.per_row(log_probs.gather(-1, drawn).squeeze(-1))
        for row in rows:
            parts = torch.autograd.grad(
                row, list(weights.values()), retain_graph=True, materialize_grads=True
            )
            for total, part in zip(sums.values(), parts, strict=True):
                total += part.square()
        model.backwards += len(rows)
        count += len(rows)
    return {name: total / max(1, count) for name, total in sums.items()}
