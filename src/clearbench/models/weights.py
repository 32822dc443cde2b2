"""Parameter naming, which parameters are trainable, and temporary weight replacement."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from clearbench.batches.kind import Kind
from clearbench.errors import ModelError
from clearbench.models.families.base import Family, Part
from clearbench.processes import whole


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Computes the sha256 of tensors and their names; of shapes where there are no values."""
    hashed = hashlib.sha256()
    for name, values in tensors.items():
        hashed.update(name.encode())
        if values.is_meta:
            hashed.update(str(tuple(values.shape)).encode())
            continue
        hashed.update(
            whole(values.detach())
            .cpu()
            .contiguous()
            .reshape(-1)
            .view(torch.uint8)
            .numpy()
            .tobytes()
        )
    return hashed.hexdigest()


def aliases(module: nn.Module) -> dict[int, Any]:
    """Maps the plain parameters, by `id`, to others in the same memory, for `copy.deepcopy`."""
    return {
        id(weight): nn.Parameter(weight.detach(), weight.requires_grad)
        for weight in module.parameters()
        if type(weight) is nn.Parameter
    }


def own_weights(module: nn.Module, lender: nn.Module) -> None:
    """Copies every weight of a module that stands in the memory of another's."""
    lent = {weight.untyped_storage().data_ptr() for weight in lender.parameters()}
    for weight in module.parameters():
        if weight.untyped_storage().data_ptr() in lent:
            weight.data = weight.data.clone()


def _without_adapters(parameter: str) -> str:
    """A parameter's name before adapters were added."""
    return parameter.removeprefix("base_model.model.").replace(".base_layer.", ".")


class Weights:
    """The weights of a `transformers` model, with adapters if there are any.

    Attributes:
        module: The `torch` module that holds them.
        kind: `language`, `vision-language` or `classifier`.
        family: Family of its architecture.
        foreseen_on: Device that an outline's training is foreseen on; None with values.
    """

    kind: ClassVar[Kind]
    module: Any
    family: Family
    foreseen_on: torch.device | None = None

    @property
    def core(self) -> Any:
        """The `transformers` model under any adapters."""
        peft_core = getattr(self.module, "get_base_model", None)
        return peft_core() if callable(peft_core) else self.module

    @property
    def is_sharded(self) -> bool:
        """Whether each process holds a part of every weight."""
        return isinstance(self.core, FSDPModule)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        device: torch.device = next(self.module.parameters()).device
        return device

    def part_of(self, parameter: str) -> Part:
        """Finds the part of the model that a parameter or module path belongs to.

        All of a classifier is `vision`, whatever media it reads, but for a projected head, which is
        the `projector` between a backbone and people.
        """
        if self.kind != "classifier":
            return self.family.part_of(parameter)
        projected = bool(getattr(self.core.config, "projection", False))
        in_backbone = f"{self.core.base_model_prefix}." in parameter
        return "projector" if projected and not in_backbone else "vision"

    @property
    def parts(self) -> tuple[Part, ...]:
        """Parts that this model has."""
        own = {self.part_of(name) for name, _ in self.module.named_parameters()}
        return tuple(part for part in ("vision", "projector", "language") if part in own)

    def layer_of(self, parameter: str) -> int | None:
        """Finds the number from 1 of a parameter's layer within its part; None if in none."""
        return self.family.layer_of(parameter)

    def is_perceptron(self, parameter: str) -> bool:
        """Whether a parameter is the last matrix of a perceptron, or of a classifier's head."""
        own = self.family.is_mlp_output(parameter)
        return own or (self.kind == "classifier" and self.family.is_label_weight(parameter))

    def train_only(self, parts: Sequence[str]) -> None:
        """Makes the given parts trainable and freezes the others. Adapters follow their part."""
        adapted = any("lora_" in name for name, _ in self.module.named_parameters())
        for name, parameter in self.module.named_parameters():
            chosen = self.part_of(name) in parts
            parameter.requires_grad_(chosen and (not adapted or "lora_" in name))

    def trainable(self) -> dict[str, nn.Parameter]:
        """Returns the trainable parameters by name."""
        return {n: p for n, p in self.module.named_parameters() if p.requires_grad}

    def weights_may_have_changed(self) -> None:
        """Makes what is remembered of the weights, such as features of a tower, be checked anew.

        Called where code of a method or of a user may have written weights: a write through
        `weight.data` leaves no trace that could be seen without reading all of them.
        """
        self.family.weights_may_have_changed()

    @torch.no_grad()
    def rescale_change(self, start: Mapping[str, Tensor], factor: float) -> None:
        """Sets trainable weights to start + factor (now - start); scales an adapter's product."""
        for name, weight in self.trainable().items():
            if "lora_B" in name:
                weight.mul_(factor)
            elif "lora_A" not in name:
                weight.copy_(start[name] + factor * (weight - start[name]))

    @contextmanager
    def holding(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Replaces weights of the module by these of the same name while entered.

        A name may be that of the module without its adapters. Gradients flow through them to
        whatever they were computed from.

        Raises:
            ModelError: The weights are sharded; FSDP replaces them whenever they are used.
        """
        if self.is_sharded:
            raise ModelError("sharded weights cannot be replaced", "holding", "do not shard them")
        named = dict(self.module.named_parameters())
        own = {_without_adapters(name): weight for name, weight in named.items()} | named
        held: dict[int, Any] = {id(own[name]): weight for name, weight in weights.items()}
        places = [
            (layer, name, weight)
            for layer in self.module.modules()
            for name, weight in layer._parameters.items()
            if id(weight) in held
        ]
        for layer, name, weight in places:
            layer._parameters[name] = held[id(weight)]
        try:
            yield
        finally:
            for layer, name, weight in places:
                layer._parameters[name] = weight

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Keeps the module in evaluation mode while entered."""
        was_training = self.module.training
        self.train(False)
        try:
            yield
        finally:
            self.train(was_training)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keeps the module in evaluation mode with no trainable weights while entered."""
        self.weights_may_have_changed()
        learning = list(self.trainable().values())
        with self.measured():
            self.train_only(())
            try:
                yield
            finally:
                for parameter in learning:
                    parameter.requires_grad_(True)

    def train(self, mode: bool = True) -> None:
        """Sets training mode with frozen batch statistics, which would follow the forget set."""
        self.module.train(mode)
        for layer in self.module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
