"""Computes the L1 penalty on weights, adapters or the change of weights."""

from __future__ import annotations

import torch

from clearbench.methods.losses import Term
from clearbench.models.base import Model
from clearbench.training.settings import Penalty


class PenaltyTerm:
    """The L1 penalty on what the settings name, as one more term of a loss."""

    def __init__(self, settings: Penalty, model: Model) -> None:
        self.settings = settings
        chosen = model.trainable()
        if settings.on == "adapter":
            chosen = {name: weight for name, weight in chosen.items() if "lora_" in name}
        self.weights = list(chosen.values())
        self.start = [
            weight.detach().clone() if settings.on == "delta" else None for weight in self.weights
        ]

    def __call__(self) -> Term:
        """Computes the term at the present weights."""
        sizes = [
            (weight if start is None else weight - start).abs().sum()
            for weight, start in zip(self.weights, self.start, strict=True)
        ]
        total = torch.stack(sizes).sum() if sizes else torch.zeros(())
        if self.settings.reduce == "mean":
            total = total / max(1, sum(weight.numel() for weight in self.weights))
        value = (self.settings.strength * total).reshape(1)
        return Term(value, torch.ones_like(value, requires_grad=False))
