"""Measures and scales neurons: the inputs of a block's last matrix or of a classifier's head."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from clearbench.errors import RecipeError
from clearbench.libraries import torch, without_gradient
from clearbench.methods.step import Batches, Model

if TYPE_CHECKING:
    from torch import Tensor, nn

_OF_A_LAYER = re.compile(r"\.(base_layer\.|lora_[AB]\.\w+\.)?(weight|bias)$")


def perceptrons(model: Model, wanted: Callable[[str], bool]) -> dict[str, nn.Parameter]:
    """Selects the last matrices of the wanted perceptrons that are trained, by name.

    A classifier's features before its head are neurons as well.

    Raises:
        RecipeError: If there is none.
    """
    matrices = {
        name: weight
        for name, weight in model.trainable().items()
        if name.endswith(".weight") and model.is_perceptron(name) and wanted(name)
    }
    if not matrices:
        raise RecipeError(
            "there is no perceptron among the weights that may learn",
            "train.parts",
            "choose a part that has one, such as `language`",
        )
    return matrices


def layer_name(parameter: str) -> str:
    """The name of the linear layer that a weight, a bias or an adapter belongs to."""
    return _OF_A_LAYER.sub("", parameter)


def block_of(parameter: str) -> str:
    """The name of the block that a parameter's layer is a direct part of, such as a perceptron."""
    return layer_name(parameter).rpartition(".")[0]


def feeds_perceptron(model: Model, parameter: str) -> bool:
    """Whether a parameter lies in a perceptron, before its last matrix; biases do not count."""
    before = not parameter.endswith("bias") and not model.is_perceptron(parameter)
    return before and bool(_last_matrices(model, block_of(parameter)))


def outgoing(model: Model, block: str) -> str:
    """The name of a perceptron's last matrix, trained or not; without any adapter of it."""
    return _last_matrices(model, block)[0]


def _last_matrices(model: Model, block: str) -> list[str]:
    parameters = [name for name, _ in model.module.get_submodule(block).named_parameters()]
    direct = [f"{block}.{n}" for n in parameters if "." not in layer_name(n) and "lora_" not in n]
    return [n for n in direct if n.endswith(".weight") and model.is_perceptron(n)]


def _is_transposed(layer: object) -> bool:
    """Whether a layer has its inputs in rows, as GPT-2's have; the others have them in columns."""
    from transformers.pytorch_utils import (
        Conv1D,  # the engine, which a list of methods does without
    )

    return isinstance(layer, Conv1D)


def neuron_count(model: Model, name: str) -> int:
    """The number of neurons that a perceptron's last matrix reads."""
    layer = model.module.get_submodule(name.rpartition(".")[0])
    return int(layer.weight.shape[0 if _is_transposed(layer) else 1])


def incoming_rows(model: Model, parameter: str, chosen: Tensor) -> Tensor:
    """Marks the entries of a matrix before a perceptron's last that lead to chosen neurons.

    Args:
        model: Model with the neurons.
        parameter: Name of a matrix for which `feeds_perceptron` holds, or of its adapter.
        chosen: Mask of neurons, (neurons,).

    Returns:
        A mask of the parameter's shape; all of an adapter's first matrix, which no row of the
        change depends on alone.
    """
    shape = model.trainable()[parameter].shape
    if "lora_A" in parameter:
        return torch.ones(shape, dtype=torch.bool)
    plain = _is_transposed(model.module.get_submodule(layer_name(parameter)))
    return (chosen[None, :] if plain else chosen[:, None]).expand(shape).clone()


@without_gradient
def neuron_means(
    model: Model,
    batches: Iterable[Batches],
    names: Collection[str],
    measures: Mapping[str, Callable[[Tensor], Tensor]],
) -> dict[str, dict[str, Tensor]]:
    """Computes means of functions of each neuron's activation at the places of answer tokens.

    Args:
        model: Model with the neurons.
        batches: Rows over which means are taken.
        names: Names of matrices, from `perceptrons`.
        measures: Functions of (places, neurons) activations, entry by entry.

    Returns:
        (neurons,) means, by measure and then by name.
    """
    sums: dict[str, dict[str, Tensor]] = {measure: {} for measure in measures}
    counts: dict[str, int] = {}
    for group in batches:
        for name, values in model.entering(group, names).items():
            counts[name] = counts.get(name, 0) + len(values)
            for measure, function in measures.items():
                total = function(values.float()).sum(0)
                sums[measure][name] = sums[measure].get(name, torch.zeros_like(total)) + total
    return {m: {name: total / counts[name] for name, total in s.items()} for m, s in sums.items()}


def scaled(model: Model, name: str, weight: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the outgoing weights of each neuron by its (neurons,) factor."""
    layer = model.module.get_submodule(name.rpartition(".")[0])
    in_rows = _is_transposed(layer)
    return weight * (factor.to(weight)[:, None] if in_rows else factor.to(weight))


@without_gradient
def scale_neurons(model: Model, factors: Mapping[str, Tensor]) -> None:
    """Multiplies the outgoing weights of each neuron; 0 removes it.

    Args:
        model: Model that is changed in place.
        factors: (neurons,) factors by the name of a matrix.
    """
    for name, factor in factors.items():
        weight = model.trainable()[name]
        weight.copy_(scaled(model, name, weight, factor))
