"""Trains forget images towards an extra label, which is removed afterwards."""

from __future__ import annotations

from dataclasses import replace

from clearbench.libraries import torch
from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper


class BoundaryExpand(
    Method,
    name="boundary_expand",
    paper=Paper("Boundary Unlearning", 2023, "2303.11570"),
    kinds=("classifier",),
    modalities=("image",),
    needs=("forget", "shadow"),
):
    """Fine-tuning of the forget images on a shadow label, which is removed at the end."""

    def loss(self, step: Step) -> dict[str, Term]:
        """L(forget, shadow label), where the shadow label is the last one."""
        answers = step.model.answers(step.forget)
        shadow = torch.full_like(answers.targets, answers.logits.shape[-1] - 1)
        return {"forget": cross_entropy(replace(answers, targets=shadow))}
