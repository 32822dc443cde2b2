"""Turns cosines of embeddings into signals for attacks."""

from __future__ import annotations

import numpy as np

from clearbench.attacks.signals import Numbers

#: Largest cosine: 1 less half the spacing of single precision, in which models embed.
MOST = 1 - 2.0**-24


def cosine_logits(cosines: Numbers) -> Numbers:
    """Computes log((1 + c) / (1 - c)), twice the inverse hyperbolic tangent, of cosines.

    It rises over the whole range. CLEAR's code takes log c - log(1 - c) of cosines clipped to 0 and
    1 with 1e-45 added, where every cosine up to 0 becomes -103 (errata E58).
    """
    found: Numbers = 2 * np.arctanh(np.clip(cosines, -MOST, MOST))
    return found
