"""Adds the loss on decoupled rows, the same questions about people who stay, to any loss."""

from __future__ import annotations

from dataclasses import replace

from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.stages import Train
from clearbench.methods.step import Step

#: Name of the added term, which gradient rules leave as it is.
DECOUPLING = "decoupling"


def decoupling_term(step: Step, weight: float) -> dict[str, Term]:
    """Weight L(decoupled): the forget question about a retained person, answered truthfully.

    SafeEraser's prompt decoupling (arXiv 2502.12520; yuu250/SafeEraser, whose code was read): there
    the same question about another image with its ordinary answer, in cross entropy. A question
    without an image names the person, so there it is one of the most similar questions about a
    retained person.
    """
    return {DECOUPLING: weight * cross_entropy(step.model.answers(step.decoupled))}


def decoupled(stage: Train, weight: float) -> Train:
    """Adds the term to a stage whose needs are known."""
    loss = stage.loss

    def both(step: Step) -> dict[str, Term]:
        return {**loss(step), **decoupling_term(step, weight)}

    return replace(stage, loss=both, needs=(*(stage.needs or ()), "decoupled"))
