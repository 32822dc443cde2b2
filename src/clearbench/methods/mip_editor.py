"""Misdirects forget states by the neurons that forget answers depend on, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term, uniform
from clearbench.methods.neurons import (
    block_of,
    feeds_perceptron,
    incoming_rows,
    neuron_count,
    outgoing,
)
from clearbench.methods.paper import Paper
from clearbench.methods.paths import influential_path
from clearbench.methods.statistics import MASK
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor


class MIPEditor(
    Method,
    name="mip_editor",
    paper=Paper(
        "Cross-Modal Unlearning via Influential Neuron Path Editing in Multimodal Large Language "
        "Models",
        2025,
        "2511.06793",
        "PreckLi/MIP-Editor",
    ),
    kinds=("language", "vision-language"),
    needs=("forget", "retain", "reference"),
    status="adapted",
    trial={"neurons": 24, "size": 30.0},
):
    """Influential neuron paths: only the weights into a few neurons learn, by misdirection.

    For every forget row and layer the neurons are chosen that matter most while they, and those
    chosen below, grow from nothing: in the language part by the integrated gradient of the answer,
    in the vision part by the integral of squared gradients (Fisher). The forget states of one layer
    then go to a fixed random vector. Read was the authors' code, of the paper only the abstract.
    All defaults are the code's: 5 neurons and 4 steps, equal weights, a vector of norm 10, its
    layer 8 of 36 in proportion. Departures: an attribution is that of a neuron's strength at all
    places (there of its activation at the first place, which in a causal model is the same for all
    questions); the language part takes neurons that raise an answer's probability (there the
    gradient is the loss's); squared gradients are not standardised over the steps (there, so that
    all neurons have the same sum); an attribution is a neuron's own (there (g + G)(a + A), G and A
    of the last neuron chosen in each layer below); chosen neurons are not silenced at the first
    place; states are those that answers are read from.

    Attributes:
        neurons: Number of neurons of a layer that are chosen for a row.
        increments: Number of levels, from 0, at which gradients are taken.
        rows: Number of rows of each track whose neurons are found; None for all, as published.
        layer: Layer whose states are misdirected, from 1; neurons above it cannot change them.
        size: Norm of the random vector.
        forget_weight: Weight of the forget term; the retain term has the rest.
    """

    neurons: int = Field(default=5, ge=1)
    increments: int = Field(default=4, ge=1)
    rows: int | None = Field(default=None, ge=1)
    layer: int | None = Field(default=None, ge=1)
    size: float = Field(default=10.0, gt=0)
    forget_weight: float = Field(default=0.5, ge=0, le=1)

    def stages(self) -> Sequence[Stage]:
        """One stage, in which matrices before neurons learn."""
        return (Train(self.loss, parameters=self._learns),)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Draws c u, u of direction from [0, 1), and masks the weights into all paths' neurons."""
        batches = next(data.batches("forget"))
        with torch.no_grad():
            width = model.states(batches, self._layer(model)).shape[-1]
        drawn = torch.rand(width, generator=torch.Generator().manual_seed(seed))
        learns = [name for name in model.trainable() if self._learns(model, name)]
        neurons = self.influential(model, data, learns)
        masks = {
            MASK + name: incoming_rows(model, name, neurons[block_of(name)]) for name in learns
        }
        return {"target": self.size * drawn / drawn.norm(), **masks}

    def loss(self, step: Step) -> dict[str, Term]:
        """|h(forget) - c u|^2 b / d + |h(retain) - h_original(retain)|^2 (1 - b) / d, per token."""
        layer = self._layer(step.model)
        away = step.model.states(step.forget, layer) - step.state["target"]
        drift = step.model.states(step.retain, layer) - step.reference.states(step.retain, layer)
        return {
            "forget": self.forget_weight * uniform(away.square().mean(-1)),
            "retain": (1 - self.forget_weight) * uniform(drift.square().mean(-1)),
        }

    def influential(self, model: Model, data: Data, learns: Sequence[str]) -> dict[str, Tensor]:
        """Masks of the neurons that are on some row's path, by the block of their perceptron.

        Paths in the language part are of rows without an image, or of all where there are none.
        """
        matrices = [outgoing(model, block) for block in dict.fromkeys(map(block_of, learns))]
        matrices.sort(key=lambda name: model.layer_of(name) or 0)
        counts = {name: neuron_count(model, name) for name in matrices}
        found = {name: torch.zeros(count, dtype=torch.bool) for name, count in counts.items()}
        text = any(True for _ in data.batches("forget", sees=False))
        for part in ("language", "vision"):
            mine = [name for name in matrices if model.part_of(name) == part]
            sees = part == "vision" or not text
            for row in self._rows(model, data, sees) if mine else ():
                path = influential_path(
                    model, row, mine, self.neurons, self.increments, squared=part == "vision"
                )
                for name, places in path.items():
                    found[name][places.cpu()] = True
        return {block_of(name): mask for name, mask in found.items()}

    def _rows(self, model: Model, data: Data, sees: bool) -> Iterator[Batches]:
        """Forget rows one by one, with an image or without."""
        groups = data.batches("forget", sees=sees)
        items = (item for group in groups for batch in group for item in batch.items)
        return (model.batch([item]) for item in islice(items, self.rows))

    def _layer(self, model: Model) -> int:
        return self.layer or max(1, round(model.depth * 8 / 36))

    def _learns(self, model: Model, name: str) -> bool:
        """Whether a parameter is trained: a matrix before neurons that the states depend on."""
        layer = model.layer_of(name)
        if layer is None or (model.part_of(name) == "language" and layer > self._layer(model)):
            return False
        return feeds_perceptron(model, name)
