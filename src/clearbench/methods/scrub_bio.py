"""Turns the embeddings of forget rows away from the original's and keeps those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import functional, torch
from clearbench.methods.base import Data, Method, Model, State, Step
from clearbench.methods.losses import Term, uniform
from clearbench.methods.paper import CLEAR
from clearbench.methods.step import Batches

if TYPE_CHECKING:
    from torch import Tensor


class SCRUBBio(
    Method,
    name="scrub_bio",
    paper=CLEAR,
    needs=("forget", "retain", "reference"),
    status="adapted",
):
    """SCRUB on embeddings: the cosine to the original's falls on forget rows, not on retain rows.

    Embeddings are the last states, from which answers are read; on a classifier, what its head
    reads. The paper has one weight of 1. At the start both cosines are 1, where they have no
    gradient. The published code gets one from batch statistics, which differ between training and
    evaluation mode; ours are frozen and a ViT has none. So forget embeddings turn away from the
    original's moved by `shift` of its length in one random direction: 0.1, six degrees, is well
    above rounding and small against a right angle; it is ours.

    Attributes:
        least: Cosine under which a forget row has no gradient: -1, the paper's, never; 0, the
            published code's, from a right angle on. A ResNet's embeddings are not negative, so the
            two hardly differ there.
    """

    retain_weight: float = Field(default=1.0, ge=0)
    least: float = Field(default=-1.0, ge=-1, lt=1)
    shift: float = Field(default=0.1, ge=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Draws a random direction."""
        with torch.no_grad():
            width = model.states(next(data.batches("forget")), model.depth).shape[-1]
        drawn = torch.randn(width, generator=torch.Generator().manual_seed(seed))
        return {"direction": drawn / drawn.norm()}

    def loss(self, step: Step) -> dict[str, Term]:
        """max(least, cos(f, f_original))(forget) + lambda (1 - cos(f, f_original))(retain)."""
        original = self._original(step, step.forget)
        lengths = original.norm(dim=-1, keepdim=True)
        moved = original + self.shift * lengths * step.state["direction"]
        away = functional.cosine_similarity(self._ours(step, step.forget), moved, dim=-1)
        held = functional.cosine_similarity(
            self._ours(step, step.retain), self._original(step, step.retain), dim=-1
        )
        return {
            "forget": uniform(away.clamp_min(self.least)),
            "retain": self.retain_weight * uniform(1 - held),
        }

    @staticmethod
    def _ours(step: Step, rows: Batches) -> Tensor:
        return step.model.states(rows, step.model.depth)

    @staticmethod
    def _original(step: Step, rows: Batches) -> Tensor:
        return step.reference.states(rows, step.model.depth)
