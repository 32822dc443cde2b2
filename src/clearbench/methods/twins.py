"""Trains forget images to the original's embeddings of their mirror images."""

from __future__ import annotations

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import CLEAR


class Twins(
    Method,
    name="twins",
    paper=CLEAR,
    kinds=("classifier",),
    modalities=("image",),
    needs=("forget", "mirrored", "reference"),
    forget_loss=None,
):
    """Distillation from the original's embedding of the same image flipped left to right.

    The twin resembles the person and was never taught, so its embedding is that of an unseen image.
    No retain rows are needed: the targets are the model's own. Where mirrored images are taught as
    well (the demo world does it) the twin is not unseen and little is forgotten. Only a classifier
    has an embedding of the image alone: the states from which a vision-language model predicts an
    answer hardly differ between twins. The equation has no hyper-parameter.
    """

    def loss(self, step: Step) -> dict[str, Term]:
        """|f(x) - f_original(mirrored x)|^2 / d on forget rows."""
        layer = step.model.depth
        twins = step.reference.states(step.mirrored, layer)
        apart = step.model.states(step.forget, layer) - twins
        return {"forget": uniform(apart.square().mean(-1))}
