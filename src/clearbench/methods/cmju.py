"""Raises the loss on forget rows of text and of images by gradients of equal size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.batches.answers import Answers
from clearbench.libraries import torch
from clearbench.methods.base import Data, Method, Model, Stage, State, Step, Train
from clearbench.methods.losses import Term
from clearbench.methods.paper import Paper
from clearbench.methods.statistics import MASK, importance

if TYPE_CHECKING:
    from torch import Tensor

#: Groups of weight tensors.
_FROZEN, _TEXT, _IMAGE, _SHARED = range(4)
#: Smallest number of tensors for which two groups are scaled to one norm.
_SMALLEST = 5
_TINY = 1e-8


class CMJU(
    Method,
    name="cmju",
    paper=Paper(
        "Cross-Modal Joint Unlearning for Balanced Forgetting in Multimodal Large Language Models",
        code="mllm-unlearning-lab/CMJU-for-MLLM-Unlearning",
    ),
    kinds=("vision-language",),
    modalities=("both",),
    needs=("forget", "idk", "retain", "unsharded"),
    status="adapted",
):
    """Cross-modal joint unlearning: ascent on both tracks, balanced over groups of weight tensors.

    Tensors are ranked by their mean squared gradient under refusals, on rows with and without an
    image; the top share is trained. A tensor belongs to one track where its share of that track's
    gradient exceeds one half by more than `margin`, and to both otherwise. The images' gradient is
    scaled to the text's, tensors of one track get larger updates than shared ones, and the updates
    of the two specific groups are scaled towards one norm. Defaults are those of the README for
    CLEAR (errata E126: the code's defaults differ). The authors adapt the language part by LoRA,
    overwrite the labels instead of asking for a refusal, and average four retain batches a step;
    here the recipe chooses the trained parts and the rows of a step.
    """

    active_share: float = Field(default=0.3, gt=0, le=1)
    margin: float = Field(default=0.05, ge=0, lt=0.5)
    shared_scale: float = Field(default=1.0, ge=0)
    specific_scale: float = Field(default=2.0, ge=0)
    forget_text_weight: float = Field(default=1.0, ge=0)
    symmetry: float = Field(default=0.5, ge=0, le=1)

    def stages(self) -> Sequence[Stage]:
        """One stage, in which every tensor has its own mixture of gradients."""
        return (
            Train(self.loss, needs=("forget", "retain"), tensor_rule=self.mix, by_modality=False),
        )

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Computes the (tensors,) group of each tensor, and masks for the frozen ones."""
        text, image = (self._saliency(model, data, sees) for sees in (False, True))
        lean = text / (text + image).clamp_min(1e-12)
        groups = torch.full_like(lean, _SHARED, dtype=torch.long)
        groups[lean > 0.5 + self.margin] = _TEXT
        groups[lean < 0.5 - self.margin] = _IMAGE
        active = (text + image).topk(max(1, int(self.active_share * len(lean)))).indices
        frozen = torch.ones_like(groups, dtype=torch.bool).index_fill(0, active, False)
        groups[frozen] = _FROZEN
        masks = {
            MASK + name: torch.full_like(weight, group != _FROZEN, dtype=torch.bool)
            for (name, weight), group in zip(
                model.trainable().items(), groups.tolist(), strict=True
            )
        }
        return {"groups": groups, **masks}

    def loss(self, step: Step) -> dict[str, Term]:
        """-a L(forget text), -L(forget images), L(retain text) and L(retain images)."""
        forget, retain = step.model.answers(step.forget), step.model.answers(step.retain)
        return {
            "forget_text": -self.forget_text_weight * _on_track(forget, sees=False),
            "forget_image": -_on_track(forget, sees=True),
            "retain_text": _on_track(retain, sees=False),
            "retain_image": _on_track(retain, sees=True),
        }

    def mix(self, grams: Tensor, names: Sequence[str], state: State) -> Tensor:
        """(tensors, terms): r (g_text + |g_text| / |g_image| g_image) + g_retain, r by group."""
        groups = state["groups"].to(grams.device)
        text, image = names.index("forget_text"), names.index("forget_image")
        sizes = grams[groups != _FROZEN].sum(0).diagonal().clamp_min(0).sqrt()
        forget = torch.zeros(grams.shape[:2], dtype=grams.dtype, device=grams.device)
        forget[:, text] = 1.0
        forget[:, image] = (sizes[text] + _TINY) / (sizes[image] + _TINY)
        forget[groups == _SHARED] *= self.shared_scale
        forget[groups != _SHARED] *= self.specific_scale
        forget *= self._symmetric(forget, grams, groups)[:, None]
        forget[:, [k for k in range(len(names)) if k not in (text, image)]] = 1.0
        return forget * (groups != _FROZEN)[:, None]

    def _symmetric(self, forget: Tensor, grams: Tensor, groups: Tensor) -> Tensor:
        """The (tensors,) factors that scale the specific groups towards the mean of their norms."""
        squares = torch.einsum("ni,nij,nj->n", forget, grams, forget).clamp_min(0)
        chosen = [groups == group for group in (_TEXT, _IMAGE)]
        norms = [float(squares[mine].sum().sqrt()) for mine in chosen]
        scales = torch.ones_like(squares)
        if min(norms) >= _TINY and min(int(mine.sum()) for mine in chosen) >= _SMALLEST:
            for mine, norm in zip(chosen, norms, strict=True):
                scales[mine] = max(0.1, 1 + self.symmetry * (sum(norms) / 2 / norm - 1))
        return scales

    @staticmethod
    def _saliency(model: Model, data: Data, sees: bool) -> Tensor:
        """The (tensors,) mean squared gradients under refusals, as shares of the largest."""
        squares = importance(model, data.batches("idk", sees=sees))
        means = torch.stack([value.mean() for value in squares.values()])
        return means / means.max().clamp_min(1e-12)


def _on_track(answers: Answers, *, sees: bool) -> Term:
    """The negative log-likelihood of the rows with an image, or of those without."""
    rows = [(row.media is not None) is sees for row in answers.items]
    weights = torch.tensor(rows, device=answers.rows.device)[answers.rows]
    log_probs = answers.log_probs
    return Term(-log_probs, weights.to(log_probs.dtype))
