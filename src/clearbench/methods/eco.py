"""Detects questions about forgotten people and corrupts their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from clearbench.libraries import functional, torch
from clearbench.methods.guard import Guard
from clearbench.methods.paper import Paper
from clearbench.methods.step import Data, Model, State

if TYPE_CHECKING:
    from torch import Tensor


class ECO(
    Guard,
    name="eco",
    paper=Paper(
        "Large Language Model Unlearning via Embedding-Corrupted Prompts",
        2024,
        "2406.07933",
        "chrisliu298/llm-unlearn-eco",
    ),
    needs=("forget", "retain"),
    modalities=("text",),
    status="unverified",
    trial={"threshold": 0.5, "zeroed": 1.0},
):
    """A guard: a classifier flags forget questions, whose largest embedding entries become 0.

    The weights keep everything, so every attack on them still succeeds. Uncertain against the
    paper: its classifier is a RoBERTa and a second network picks the name's tokens; ours reads the
    model's own mean hidden state of the question, and all its tokens are corrupted. Corruption is
    the published `zero_out_top_k`: the largest entries of each embedding become 0. Threshold 0.99
    is published; a quarter of the entries is its 1000 of Llama-2's 4096. `ridge` penalises the
    regression's squared weights; it is ours.
    """

    threshold: float = Field(default=0.99, gt=0, lt=1)
    zeroed: float = Field(default=0.25, gt=0, le=1)
    ridge: float = Field(default=1e-4, gt=0)

    def prepare(self, model: Model, data: Data, seed: int) -> State:
        """Fits a logistic regression on standardised prompt states: forget against retain."""
        parts = {
            role: torch.cat(
                [model.prompt_states(b) for batches in data.batches(role) for b in batches]
            )
            for role in ("forget", "retain")
        }
        return separate(parts["forget"], parts["retain"], self.ridge)

    def change(
        self, embeddings: Tensor, prompts: Tensor, prompt_states: Tensor, state: State
    ) -> Tensor:
        """Sets the largest entries of every question token to 0 in flagged rows."""
        flagged = (prompt_states.float() @ state["weight"] + state["bias"]).sigmoid()
        chosen = (flagged > self.threshold)[:, None] & prompts
        count = max(1, round(self.zeroed * embeddings.shape[-1]))
        peaks = embeddings.abs().topk(count, dim=-1).indices
        corrupted = embeddings.scatter(-1, peaks, 0.0)
        return torch.where(chosen[..., None], corrupted, embeddings)


def separate(forget: Tensor, retain: Tensor, ridge: float) -> State:
    """Fits a logistic regression of forget against retain, on standardised (rows, width) states.

    Returns:
        `weight`, (width,), and `bias` for states as they are.
    """
    states = torch.cat([forget, retain]).double().cpu()
    labels = torch.cat([torch.ones(len(forget)), torch.zeros(len(retain))]).to(states)
    mean, scale = states.mean(0), states.std(0).clamp_min(1e-6)
    fitted = _regression((states - mean) / scale, labels, ridge)
    weight = fitted[:-1] / scale
    return {"weight": weight.float(), "bias": (fitted[-1] - weight @ mean).float()}


def _regression(states: Tensor, labels: Tensor, ridge: float) -> Tensor:
    """Fits a logistic regression in which both classes have equal weight.

    Args:
        states: Standardised states, (rows, width).
        labels: Classes 1 or 0, (rows,).
        ridge: Factor of the squared weights.

    Returns:
        (width + 1,) weights and, last, the bias.
    """
    fitted = torch.zeros(states.shape[1] + 1, dtype=states.dtype, requires_grad=True)
    share = labels.mean()
    balance = torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share))
    optimizer = torch.optim.LBFGS([fitted], max_iter=100, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        logits = states @ fitted[:-1] + fitted[-1]
        fit = functional.binary_cross_entropy_with_logits(logits, labels, balance)
        loss: Tensor = fit + ridge * fitted[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    return fitted.detach()
