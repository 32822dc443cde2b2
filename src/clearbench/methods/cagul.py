"""Detects images of forgotten people and transforms the visual tokens that get least attention."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from clearbench.errors import RecipeError
from clearbench.libraries import functional, torch, without_gradient
from clearbench.methods.eco import separate
from clearbench.methods.guard import FittedGuard, Guard
from clearbench.methods.losses import cross_entropy
from clearbench.methods.paper import Paper
from clearbench.methods.step import Data, Model, State

if TYPE_CHECKING:
    from torch import Tensor

#: Names of the encoder's matrices in the state.
_DOWN, _UP = "down", "up"


class CAGUL(
    Guard,
    name="cagul",
    paper=Paper(
        "Cross-Modal Attention Guided Unlearning in Vision-Language Models", 2025, "2510.07567"
    ),
    kinds=("vision-language",),
    modalities=("image",),
    needs=("forget", "idk", "retain"),
    status="unverified",
    trial={"steps": 12, "rate": 1e-2, "width": 16, "threshold": 0.5},
):
    """A guard: a small encoder rewrites part of a forgotten person's image into a refusal.

    Only the abstract and the caption of the overview could be read, and no code was found. They
    say: a discriminator reads the visual token embeddings; cross-modal attention chooses those of
    low importance for the question; an external encoder transforms these; the model's weights stay.
    All else is ours: attention is the mean over layers, heads and the question's text tokens; the
    discriminator is a logistic regression on the mean embedding, as in `eco`; the encoder adds a
    two-layer perceptron and learns the loss of refusals alone; unflagged images stay as they are,
    so that it needs no retain term; and every default. Images are found by `image_token_id`.

    Attributes:
        share: Share of an image's tokens that is transformed.
        width: Width of the encoder's hidden layer.
        steps: Number of steps of the encoder's training, a batch of forget rows each.
        rate: Learning rate of the encoder (Adam).
        threshold: Probability of a forgotten person from which an image is transformed.
        ridge: Penalty of the regression's squared weights.
    """

    share: float = Field(default=0.5, gt=0, le=1)
    width: int = Field(default=64, ge=1)
    steps: int = Field(default=100, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    ridge: float = Field(default=1e-4, gt=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Fits the discriminator to mean visual embeddings, then the encoder to refusals."""
        forget, retain = (_mean_embeddings(model, data, role) for role in ("forget", "retain"))
        return separate(forget, retain, self.ridge) | self._encoder(model, data, forget, seed)

    def see(self, states: Tensor, visual: Tensor, attention: Tensor, state: State) -> Tensor:
        """V + gelu(v D) U for the share of visual tokens with least attention, in flagged rows."""
        logits = _mean(states, visual).float() @ state["weight"] + state["bias"]
        flagged = logits.sigmoid() > self.threshold
        ranks = attention.masked_fill(~visual, torch.inf).argsort(dim=1, stable=True).argsort(dim=1)
        count = (self.share * visual.sum(1, keepdim=True)).round().clamp_min(1)
        chosen = (ranks < count) & visual & flagged[:, None]
        down, up = (state[name].to(states.dtype) for name in (_DOWN, _UP))
        return torch.where(chosen[..., None], states + functional.gelu(states @ down) @ up, states)

    def _encoder(self, model: Model, data: Data, like: Tensor, seed: int) -> State:
        """Trains the encoder on the refusals to forget rows, every image flagged."""
        width, random = like.shape[1], torch.Generator().manual_seed(seed)
        down = torch.randn(width, self.width, generator=random) / width**0.5
        learned = {_DOWN: down.to(like), _UP: torch.zeros(self.width, width).to(like)}
        for weight in learned.values():
            weight.requires_grad_(True)
        always = {"weight": torch.zeros(width), "bias": torch.tensor(torch.inf)}
        optimizer = torch.optim.Adam(list(learned.values()), lr=self.rate)
        guards = model.guards
        model.guards = (*guards, FittedGuard(self, learned | always))
        try:
            for group in itertools.islice(_again_and_again(data), self.steps):
                mean = cross_entropy(model.answers(group)).mean
                gradients = torch.autograd.grad(mean, list(learned.values()))
                for weight, gradient in zip(learned.values(), gradients, strict=True):
                    weight.grad = gradient
                optimizer.step()
                model.backwards += 1
        finally:
            model.guards = guards
        return {name: weight.detach() for name, weight in learned.items()}


class _Recorder(Guard):
    """A guard that changes nothing and keeps the mean visual embeddings of what it sees."""

    _seen: list[Tensor] = PrivateAttr(default_factory=list)

    def see(self, states: Tensor, visual: Tensor, attention: Tensor, state: State) -> Tensor:
        """Keeps the mean of each row's visual tokens."""
        self._seen.append(_mean(states, visual))
        return states


@without_gradient
def _mean_embeddings(model: Model, data: Data, role: str) -> Tensor:
    """The (rows, width) mean visual embedding of each row of a role that has an image."""
    recorder, guards = _Recorder(), model.guards
    model.guards = (*guards, FittedGuard(recorder, {}))
    try:
        for group in data.batches(role):
            pictured = [batch for batch in group if batch.media]
            if pictured:
                model.answers(pictured)
    finally:
        model.guards = guards
    if not recorder._seen:
        raise RecipeError(f"cagul needs {role} rows with images", "dataset", "add some")
    return torch.cat(recorder._seen).float()


def _mean(states: Tensor, visual: Tensor) -> Tensor:
    """Each row's mean over its visual tokens, (rows, width)."""
    weight = visual[..., None].to(states)
    total: Tensor = (states * weight).sum(1) / weight.sum(1).clamp_min(1)
    return total


def _again_and_again(data: Data) -> Any:
    """Yields the batches of refusals in order, over and over."""
    while True:
        yield from data.batches("idk")
