"""The plain baseline of `unlearning.py`: one loop as unlearning suites write it.

It is slow only where published loops are: a deep copy of the whole model as the reference, asked
anew at every step; a forward pass per batch of rows with its padding mask; the logits of whole
sequences, and the softmax over them; all layers, also where a loss reads the fourth. What the
losses compute is the papers' (errata E26, E27), so that both sides have the same gradients, and
sequences are tokenised already.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from clearbench.batches.batch import Batch
from clearbench.batches.items import Item
from clearbench.models.token_model import TokenModel

IGNORED = -100
BETA = 0.1
#: RMU's layer, its steering and retain weight, and the perceptron matrices that learn.
LAYER, STEERING, RETAIN_WEIGHT = 4, 20.0, 1200.0
LEARNS = tuple(f"layers.{k}.mlp.down_proj." for k in range(LAYER - 3, LAYER))

#: From (module, reference, batches by role) to the loss of a step.
Loss = Callable[[Any, Any, Mapping[str, Batch]], Tensor]


def token_losses(module: Any, batch: Batch) -> Tensor:
    """(rows, length) negative log-likelihood of what follows each token, 0 before the answer."""
    logits = module(**batch.inputs).logits
    labels = torch.full(logits.shape[:2], IGNORED).flatten()
    labels[batch.places] = batch.targets
    losses = functional.cross_entropy(
        logits.flatten(0, 1), labels, ignore_index=IGNORED, reduction="none"
    )
    return losses.view(logits.shape[:2])


def mean_loss(module: Any, batch: Batch) -> Tensor:
    """Negative log-likelihood per answer token."""
    return token_losses(module, batch).sum() / len(batch.targets)


def log_ratio(module: Any, reference: Any, batch: Batch) -> Tensor:
    """(rows,) log(model / reference) of each whole answer."""
    with torch.no_grad():
        before = token_losses(reference, batch).sum(-1)
    return before - token_losses(module, batch).sum(-1)


def npo(module: Any, reference: Any, batches: Mapping[str, Batch]) -> Tensor:
    """(2 / beta) log(1 + ratio ** beta) on forget rows, and the loss on retain rows."""
    ratio = log_ratio(module, reference, batches["forget"])
    forget = -2 / BETA * functional.logsigmoid(-BETA * ratio).mean()
    return forget + mean_loss(module, batches["retain"])


def dpo(module: Any, reference: Any, batches: Mapping[str, Batch]) -> Tensor:
    """-log sigmoid(beta (ratio(refusal) - ratio(answer))), and the loss on retain rows."""
    chosen = log_ratio(module, reference, batches["idk"])
    rejected = log_ratio(module, reference, batches["forget"])
    forget = -functional.logsigmoid(BETA * (chosen - rejected)).mean()
    return forget + mean_loss(module, batches["retain"])


def kl_minimization(module: Any, reference: Any, batches: Mapping[str, Batch]) -> Tensor:
    """-L(forget) + KL(reference || model) on the answer tokens of retain rows."""
    retain = batches["retain"]
    with torch.no_grad():
        target = reference(**retain.inputs).logits.log_softmax(-1)
    ours = module(**retain.inputs).logits.log_softmax(-1)
    drift = functional.kl_div(ours, target, reduction="none", log_target=True).sum(-1)
    return drift.flatten()[retain.places].mean() - mean_loss(module, batches["forget"])


def states(module: Any, batch: Batch) -> Tensor:
    """(tokens, width) what leaves RMU's layer where answer tokens are predicted."""
    found: list[Tensor] = []
    layer: nn.Module = module.model.layers[LAYER - 1]
    handle = layer.register_forward_hook(lambda *heard: found.append(heard[-1]))
    module(**batch.inputs)
    handle.remove()
    (output,) = found
    return output.flatten(0, 1)[batch.places]


def rmu(module: Any, reference: Any, batches: Mapping[str, Batch]) -> Tensor:
    """Forget states go to one fixed vector, retain states stay: mean squares."""
    direction = torch.rand(module.config.hidden_size, generator=torch.Generator().manual_seed(0))
    target = STEERING * direction / direction.norm()
    with torch.no_grad():
        before = states(reference, batches["retain"])
    away = states(module, batches["forget"]) - target
    drift = states(module, batches["retain"]) - before
    return away.square().mean() + RETAIN_WEIGHT * drift.square().mean()


LOSSES: dict[str, Loss] = {"npo": npo, "dpo": dpo, "kl_minimization": kl_minimization, "rmu": rmu}


@dataclass(frozen=True)
class Plan:
    """The items of every step by role, and how far a step goes."""

    steps: Sequence[Mapping[str, list[Item]]]
    learning_rate: float
    clip: float


def train(model: TokenModel, name: str, plan: Plan) -> list[float]:
    """Unlearns in place; returns each step's loss."""
    module = model.module
    reference = copy.deepcopy(module).requires_grad_(False)
    for weight_name, weight in module.named_parameters():
        weight.requires_grad_(name != "rmu" or any(part in weight_name for part in LEARNS))
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=plan.learning_rate, weight_decay=0.0, fused=True)
    module.train()
    losses = []
    for items in plan.steps:
        batches = {role: model.batch(rows)[0] for role, rows in items.items()}
        loss = LOSSES[name](module, reference, batches)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, plan.clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses
