"""Shards weights over processes, so that each holds a part (FSDP2)."""

from __future__ import annotations

from torch.distributed.fsdp import FSDPModule, fully_shard

from clearbench.errors import ModelError
from clearbench.models.base import Model
from clearbench.models.families.base import Family
from clearbench.processes import processes


def shard(model: Model) -> None:
    """Spreads every weight of a language model over all processes, in place.

    Every process must call it. Weights are gathered layer by layer while they are used, and only
    by a forward pass of the whole network. Gradients are summed over processes, not averaged: a
    loss is divided by its global sum of weights.

    Raises:
        ModelError: There is one process, or the model takes images, whose parts are called one
            by one.
    """
    if processes().num_processes == 1:
        raise ModelError("one process has nothing to shard with", "shard", "start several")
    if model.kind != "language":
        raise ModelError(
            f"a {model.kind} model cannot be sharded", "shard", "train replicas of it instead"
        )
    model.module.to(processes().device)
    for name, layer in model.core.named_modules():
        match = Family.layer.search(f"{name}.")
        if match and match.end() == len(name) + 1:
            fully_shard(layer)
    fully_shard(model.core, reshard_after_forward=True)
    for part in model.core.modules():
        if isinstance(part, FSDPModule):
            part.set_force_sum_reduction_for_comms(True)  # gloo can do no other
            part.set_gradient_divide_factor(1.0)
