"""Computes log-probability statistics of answer tokens from logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clearbench.batches.items import CACHED


@dataclass(frozen=True)
class TokenStatistics:
    """Per-token log-probability statistics of one answer, in natural logarithms.

    Attributes:
        log_probs: Log-probability of each answer token, (tokens,).
        hits: True for tokens that are the model's first choice, (tokens,).
        means: Expected log-probability under the model's own distribution, (tokens,).
        variances: Variance of the log-probability under it, (tokens,).
    """

    log_probs: NDArray[np.float32]
    hits: NDArray[np.bool_]
    means: NDArray[np.float32]
    variances: NDArray[np.float32]


def read_tokens(logits: Tensor, contexts: Tensor, targets: Tensor) -> Tensor:
    """Computes (4, targets): log-probability, hit, mean and variance, of targets in contexts.

    Passes over (contexts, vocabulary) dominate the cost of measuring, so there are few, one of
    them an exponential, over as many contexts at once as a core's cache holds. `logits` is
    overwritten.
    """
    rows = max(1, CACHED // logits.shape[-1])
    sizes, means, variances = torch.cat([_moments(part) for part in logits.split(rows)], dim=1)
    chosen = logits[contexts, targets]
    hits = chosen == 0
    first = logits[contexts[hits]].argmax(-1)  # of equals
    hits[hits.clone()] = first == targets[hits]
    columns = (chosen - sizes[contexts], hits, means[contexts], variances[contexts])
    return torch.stack([column.float() for column in columns])


def _moments(logits: Tensor) -> Tensor:
    """Computes (3, contexts) log-normaliser, mean, variance; lowers `logits` by row maxima."""
    logits -= logits.amax(-1, keepdim=True)
    powers = logits.exp()
    total = powers.sum(-1)
    mean = powers.mul_(logits).sum(-1) / total
    square = powers.mul_(logits).sum(-1) / total
    size = total.log()
    return torch.stack([size, mean - size, (square - mean.square()).clamp_min(0)])
