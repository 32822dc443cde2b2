"""Computes one gradient from the terms of a step's micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from clearbench.methods.decoupling import DECOUPLING
from clearbench.methods.losses import Term
from clearbench.methods.rules import TensorRule
from clearbench.processes import processes, summed, whole
from clearbench.training.average import RetainAverage

#: Names of the terms that the settings add to a method's terms; rules do not mix them.
PENALTY = "penalty"
ADDED = (PENALTY, DECOUPLING)
#: Function that computes one micro-batch's terms on each part of its rows, with the part's share of
#: them; only one micro-batch's graph is alive at a time.
MicroBatch = Callable[[], Sequence[tuple[float, Mapping[str, Term]]]]
#: A part of the rows by its number, and a term by its name.
_Key = tuple[int, str]


def one_gradient(micro_batches: int, rule: TensorRule | None) -> bool:
    """Whether a step computes one gradient of its summed terms, not one of each term."""
    return micro_batches == 1 and processes().num_processes == 1 and rule is None


def gradients(
    parameters: Sequence[nn.Parameter],
    micro_batches: Sequence[MicroBatch],
    rule: TensorRule | None = None,
    average: RetainAverage | None = None,
) -> tuple[dict[str, list[Tensor]], int]:
    """Computes the step's gradient into `.grad`.

    Without a rule, one micro-batch in one process takes one backward pass of the summed terms;
    otherwise every term has a gradient of its own on each part of the rows, divided by its global
    sum of weights there.

    Returns:
        Parts of each term's value, whose sum it is, and the number of backward passes.
    """
    if one_gradient(len(micro_batches), rule):
        means: dict[str, Tensor] = {}
        for share, part in micro_batches[0]():
            for name, term in part.items():
                mean = term.mean if share == 1 else share * term.mean
                means[name] = means[name] + mean if name in means else mean
        reduce(torch.add, means.values()).backward()
        return {name: [mean.detach()] for name, mean in means.items()}, 1
    terms = _PerTerm(parameters)
    for run in micro_batches:
        terms.add(run())
    values = terms.divide()
    if rule is None:
        mixed = [reduce(torch.add, parts) for parts in zip(*terms.gradients.values(), strict=True)]
        total = [summed(part) for part in mixed]
    else:
        by_term = {name: [summed(p) for p in parts] for name, parts in terms.gradients.items()}
        total = _mixed(by_term if average is None else average(by_term), rule)
    for parameter, gradient, reached in zip(parameters, total, terms.reached(), strict=True):
        parameter.grad = gradient if reached else None  # as backward() leaves what no term reaches
    return values, terms.passes


class _PerTerm:
    """Sums each term's gradient over this process's micro-batches.

    Gradients are read from `.grad`, where those of sharded weights are as well.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.gradients: dict[str, list[Tensor]] = {}
        self._sums: dict[_Key, list[Tensor]] = {}
        self._shares: list[float] = []
        self.passes = 0
        self._reached = torch.zeros(len(parameters))
        self._totals: dict[_Key, Tensor] = {}
        self._weights: dict[_Key, Tensor] = {}

    def add(self, parts: Sequence[tuple[float, Mapping[str, Term]]]) -> None:
        """Makes a backward pass per term of each part of a micro-batch."""
        self._shares = [share for share, _ in parts]
        for number, (_, terms) in enumerate(parts):
            for name, term in terms.items():
                self._add((number, name), term)

    def _add(self, key: _Key, term: Term) -> None:
        term.total.backward(retain_graph=True)
        if key not in self._sums:
            self._sums[key] = [torch.zeros_like(weight) for weight in self.parameters]
        for place, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                self._sums[key][place] += parameter.grad
                self._reached[place] = 1
                parameter.grad = None
        self._totals[key] = self._totals.get(key, torch.zeros(())) + term.total.detach()
        self._weights[key] = self._weights.get(key, torch.zeros(())) + term.weights.sum()
        self.passes += 1

    def reached(self) -> list[bool]:
        """Whether any term has a gradient of each parameter, in any process."""
        if processes().num_processes == 1:
            return [bool(reached) for reached in self._reached.tolist()]
        everywhere = summed(self._reached.to(self.parameters[0].device))
        return [bool(reached) for reached in everywhere.tolist()]

    def divide(self) -> dict[str, list[Tensor]]:
        """Divides the sums by the global sums of weights and adds the parts by their shares.

        Returns:
            Parts of each term's value.
        """
        values: dict[str, list[Tensor]] = {}
        for (number, name), sums in self._sums.items():
            factor = self._shares[number] / summed(self._weights[number, name]).clamp_min(1e-12)
            for gradient in sums:
                gradient *= factor
            if name in self.gradients:
                for total, gradient in zip(self.gradients[name], sums, strict=True):
                    total += gradient
            else:
                self.gradients[name] = sums
            values.setdefault(name, []).append(summed(self._totals[number, name]) * factor)
        return values


def _mixed(parts: Mapping[str, Sequence[Tensor]], rule: TensorRule) -> list[Tensor]:
    """Combines the gradients of the method's terms by the rule and adds those of the settings'."""
    names = [name for name in parts if name not in ADDED]
    tensors = list(zip(*(parts[name] for name in names), strict=True))
    coefficients = rule(torch.stack([_gram(parts) for parts in tensors]), names)
    mixed = [
        reduce(torch.add, [factor * part for factor, part in zip(factors, terms, strict=True)])
        for factors, terms in zip(coefficients.tolist(), tensors, strict=True)
    ]
    for name in ADDED:
        if name in parts:
            mixed = [part + added for part, added in zip(mixed, parts[name], strict=True)]
    return mixed


def _gram(parts: Sequence[Tensor]) -> Tensor:
    """The (terms, terms) inner products of one tensor's gradients, summed in double precision."""
    rows = [[(a * b).sum(dtype=torch.double) for b in parts] for a in parts]
    return torch.stack([torch.stack([whole(product) for product in row]) for row in rows])
