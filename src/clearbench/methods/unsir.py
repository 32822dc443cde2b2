"""Trains forgotten labels on images of noise, then repairs the model on retain rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.batches.batch import Batch
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term, cross_entropy
from clearbench.methods.paper import Paper

if TYPE_CHECKING:
    from torch import Tensor

#: Prefix of the entries of the state that hold each row's noise.
NOISE = "noise|"


class UNSIR(
    Method,
    name="unsir",
    paper=Paper(
        "Fast Yet Effective Machine Unlearning",
        2021,
        "2111.08947",
        "vikram2000b/Fast-Machine-Unlearning",
    ),
    kinds=("classifier",),
    modalities=("image",),
    needs=("forget", "retain", "pixels"),
    status="adapted",
    trial={"noise_steps": 4},
):
    """Impairment with noise that maximises the error on a forgotten label, then repair.

    An image of noise replaces each forget image: no forget image is used. It starts at N(0, 1) and
    maximises the original's loss on the row's label less 0.1 |n|^2 in 40 steps of Adam at 0.1, all
    as published. Impairing has 70 % of the steps and twice the learning rate, as
    in the authors' notebook (71 of 102 steps, 0.02 and 0.01). There one batch of noise a label is
    repeated, 10240 images with 8000 of retain; here both losses weigh the same, and each forget
    image has noise of its own.
    """

    noise_penalty: float = Field(default=0.1, ge=0)
    noise_steps: int = Field(default=40, ge=1)
    noise_rate: float = Field(default=0.1, gt=0)
    impair_share: float = Field(default=0.7, gt=0, lt=1)

    def stages(self) -> Sequence[Stage]:
        """Two stages: impair, then repair."""
        return (
            Train(self.impair, share=self.impair_share, rate=2.0),
            Train(self.repair, needs=("retain",), share=1 - self.impair_share),
        )

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes an image of noise for every forget row."""
        generator = torch.Generator().manual_seed(seed)
        noise: State = {}
        for batches in data.batches("forget"):
            for batch in batches:
                learned = self._noise(model, batch, generator)
                noise |= {
                    NOISE + item.row: image.clone()
                    for item, image in zip(batch.items, learned, strict=True)
                }
        return noise

    def _noise(self, model: Model, batch: Batch, generator: torch.Generator) -> Tensor:
        """(images, channels, height, width): min -L(noise, labels) + 0.1 |noise|^2."""
        pixels = batch.inputs["pixel_values"]
        noise = torch.randn(pixels.shape, generator=generator).to(pixels).requires_grad_()
        optimizer = torch.optim.Adam([noise], lr=self.noise_rate)
        for _ in range(self.noise_steps):
            error = cross_entropy(model.answers([batch.showing(noise)])).mean
            size = noise.square().flatten(1).sum(1).mean()
            (noise.grad,) = torch.autograd.grad(self.noise_penalty * size - error, noise)
            optimizer.step()
            model.backwards += 1
        return noise.detach()

    def impair(self, step: Step) -> dict[str, Term]:
        """L(noise, forget labels) + L(retain)."""
        noisy = [
            batch.showing(torch.stack([step.state[NOISE + item.row] for item in batch.items]))
            for batch in step.forget
        ]
        return {"forget": cross_entropy(step.model.answers(noisy)), **self.repair(step)}

    def repair(self, step: Step) -> dict[str, Term]:
        """L(retain)."""
        return {"retain": cross_entropy(step.model.answers(step.retain))}
