"""See a forgotten face as the original saw its mirror image."""

from __future__ import annotations

from clearbench.methods.base import Method, Step
from clearbench.methods.losses import Term, uniform


class Twins(
    Method,
    name="twins",
    paper="CLEAR, arXiv 2410.18057, vision track",
    kinds=("classifier",),
    modalities=("image",),
    needs=("forget", "mirrored", "reference"),
    forget_loss=None,
):
    """Forgotten images get the original's embedding of the same image flipped left to right.

    The twin looks like the person and was never taught, so its embedding is what an unseen image
    gets. No retain rows hold the rest: the targets are the model's own. Where mirrored images are
    taught as well (the demo world does it) the twin is no stranger and little is forgotten.
    Only a classifier has an embedding of the image alone: what a vision-language model reads an
    answer from hardly differs between twins. The equation has no hyper-parameter.
    """

    def loss(self, step: Step) -> dict[str, Term]:
        """|f(x) - f_original(mirrored x)|^2 / d on forget rows."""
        layer = step.model.depth
        twins = step.reference.states(step.mirrored, layer)
        apart = step.model.states(step.forget, layer) - twins
        return {"forget": uniform(apart.square().mean(-1))}
