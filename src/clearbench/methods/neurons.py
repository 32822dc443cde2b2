"""Neurons of perceptrons: what enters the last matrix of a block, or a classifier's head."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from clearbench.errors import RecipeError
from clearbench.methods.step import Batches, Model


def perceptrons(model: Model, wanted: Callable[[str], bool]) -> dict[str, nn.Parameter]:
    """The last matrices of the wanted perceptrons that learn, by name.

    A classifier's features before its head are neurons, too.

    Raises:
        RecipeError: Where there is none.
    """
    found = {
        name: weight
        for name, weight in model.trainable().items()
        if name.endswith(".weight") and model.is_perceptron(name) and wanted(name)
    }
    if not found:
        raise RecipeError(
            "there is no perceptron among the weights that may learn",
            "train.parts",
            "choose a part that has one, such as `language`",
        )
    return found


@torch.no_grad()
def neuron_means(
    model: Model,
    batches: Iterable[Batches],
    names: Collection[str],
    measures: Mapping[str, Callable[[Tensor], Tensor]],
) -> dict[str, dict[str, Tensor]]:
    """Means of functions of each neuron's activation where answer tokens are read from.

    Args:
        model: Whose neurons.
        batches: What it looks at.
        names: Of `perceptrons`.
        measures: Functions of (places, neurons) activations, entry by entry.

    Returns:
        By measure, then by name: (neurons,).
    """
    sums: dict[str, dict[str, Tensor]] = {measure: {} for measure in measures}
    counts: dict[str, int] = {}
    for each in batches:
        for name, values in model.entering(each, names).items():
            counts[name] = counts.get(name, 0) + len(values)
            for measure, function in measures.items():
                total = function(values.float()).sum(0)
                sums[measure][name] = sums[measure].get(name, torch.zeros_like(total)) + total
    return {m: {name: total / counts[name] for name, total in s.items()} for m, s in sums.items()}


@torch.no_grad()
def scale_neurons(model: Model, factors: Mapping[str, Tensor]) -> None:
    """Multiplies what each neuron adds to what follows; 0 removes it.

    Args:
        model: Changed in place.
        factors: By the name of a weight, (neurons,).
    """
    for name, factor in factors.items():
        layer = model.module.get_submodule(name.rpartition(".")[0])
        in_rows = isinstance(layer, Conv1D)  # GPT-2's, the others have their inputs in columns
        weight = model.trainable()[name]
        weight.mul_(factor.to(weight)[:, None] if in_rows else factor.to(weight))
