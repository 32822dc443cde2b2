"""Measures and scales neurons: the inputs of a block's last matrix or of a classifier's head."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from clearbench.errors import RecipeError
from clearbench.methods.step import Batches, Model


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


@torch.no_grad()
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
    in_rows = isinstance(layer, Conv1D)  # GPT-2's, the others have their inputs in columns
    return weight * (factor.to(weight)[:, None] if in_rows else factor.to(weight))


@torch.no_grad()
def scale_neurons(model: Model, factors: Mapping[str, Tensor]) -> None:
    """Multiplies the outgoing weights of each neuron; 0 removes it.

    Args:
        model: Model that is changed in place.
        factors: (neurons,) factors by the name of a matrix.
    """
    for name, factor in factors.items():
        weight = model.trainable()[name]
        weight.copy_(scaled(model, name, weight, factor))
