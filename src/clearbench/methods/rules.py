"""Computes one coefficient per term from the Gram matrix of the terms' gradients.

`gram[i, j]` is the inner product of the gradients of terms i and j, so a rule costs a few scalars
and works on sharded weights. The update follows sum_i coefficient_i gradient_i; all ones is the
plain sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clearbench.errors import RecipeError
from clearbench.libraries import torch

if TYPE_CHECKING:
    from torch import Tensor

Rule = Callable[["Tensor", Sequence[str]], "Tensor"]
#: A rule for every weight tensor by itself: (tensors, terms, terms) to (tensors, terms).
TensorRule = Callable[["Tensor", Sequence[str]], "Tensor"]

_TINY = 1e-30
#: Name that a rule sees the moving average of the retain gradient under.
AVERAGE = "average"


def uniformly(rule: Rule) -> TensorRule:
    """Applies a rule to whole gradients: every tensor has the same coefficients."""
    return lambda grams, names: rule(grams.sum(0), names).expand(len(grams), len(names))


def projection(gram: Tensor, names: Sequence[str]) -> Tensor:
    """Removes the component of the forget gradient that opposes the retain gradient.

    CLEAR's `grad_proj`: g_F - min(0, <g_F, g_R> / |g_R|^2) g_R. Other terms keep their gradients.
    """
    forget, retain = _places(names, ("forget", "retain"))
    coefficients = torch.ones(len(names), dtype=gram.dtype, device=gram.device)
    opposed = gram[forget, retain].clamp_max(0)
    coefficients[retain] = -opposed / gram[retain, retain].clamp_min(_TINY)
    return coefficients


def nearest(weight: float) -> Rule:
    """Makes the rule whose direction d minimises |d - g_F|^2 + weight |d - g_R|^2."""

    def rule(gram: Tensor, names: Sequence[str]) -> Tensor:
        forget, retain = _places(names, ("forget", "retain"))
        coefficients = torch.ones(len(names), dtype=gram.dtype, device=gram.device)
        coefficients[forget], coefficients[retain] = 1 / (1 + weight), weight / (1 + weight)
        return coefficients

    return rule


def pcgrad(gram: Tensor, names: Sequence[str]) -> Tensor:
    """Removes from every gradient the components that oppose another one, then sums them.

    Yu et al. 2020, arXiv 2001.06782; the others are visited in the order of the terms, not in a
    random one, so that a step is a function of its inputs.
    """
    total = torch.zeros(len(names), dtype=gram.dtype, device=gram.device)
    for mine in range(len(names)):
        own = torch.zeros_like(total)
        own[mine] = 1.0
        for other in range(len(names)):
            if other != mine:
                opposed = (own @ gram[:, other]).clamp_max(0)
                own[other] -= opposed / gram[other, other].clamp_min(_TINY)
        total += own
    return total


def bargaining(gram: Tensor, names: Sequence[str]) -> Tensor:
    """Computes MUNBa's two-player Nash bargain: alpha_i = 1 / (|g_i| sqrt(1 + cos)).

    The closed form of G^T G alpha = 1 / alpha for two gradients.
    """
    _places(names, ("forget", "retain"))
    if len(names) != 2:
        raise RecipeError(
            f"a bargain of two among {', '.join(names)}", "rule", "choose `pcgrad` for more terms"
        )
    norms = gram.diagonal().clamp_min(_TINY).sqrt()
    cosine = gram[0, 1] / (norms[0] * norms[1])
    return 1 / (norms * (1 + cosine).clamp_min(1e-6).sqrt())


def rectification(gram: Tensor, names: Sequence[str]) -> Tensor:
    """Removes from the other terms' gradient what opposes the average retain gradient.

    GRU (Wang et al. 2025, arXiv 2503.09117; the formula is that of tmlr-group/GRU and of
    OpenUnlearning, whose code was read): g - min(0, <g, m> / |m|^2) m with g the gradient of the
    loss and m <- gamma g_R + (1 - gamma) m, from 0, the moving average that the loop keeps. The
    retain gradient itself is not added, as in their `ga_gru` and `npo_gru`; with gamma 1 and two
    terms this is `projection`. g_R is that of the method's own retain term; theirs is of cross
    entropy. The norm of what remains is bounded by `train.clip`, as by their `max_grad_norm`.
    """
    _, retain, average = _places(names, ("forget", "retain", AVERAGE))
    coefficients = torch.ones(len(names), dtype=gram.dtype, device=gram.device)
    coefficients[retain] = coefficients[average] = 0
    opposed = (coefficients @ gram[:, average]).clamp_max(0)
    coefficients[average] = -opposed / gram[average, average].clamp_min(_TINY)
    return coefficients


def _places(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """The positions of the wanted terms; a `RecipeError` names one that is missing."""
    missing = [name for name in wanted if name not in names]
    if missing:
        raise RecipeError(
            f"this rule needs a term '{missing[0]}'",
            "rule",
            f"the method's terms are: {', '.join(names)}",
        )
    return [names.index(name) for name in wanted]


#: Rules that a recipe can choose for any method with a forget and a retain term.
RULES: dict[str, Rule] = {
    "projection": projection,
    "pcgrad": pcgrad,
    "bargaining": bargaining,
    "gru": rectification,
}
