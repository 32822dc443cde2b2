"""Fits linear heads by ridge regression, from which rows are removed exactly.

Unlearning has a solution in closed form there: what a head was fitted to is two sums over rows, and
a row is forgotten by taking its part away. It is what attacks on shadow models must call forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clearbench.attacks.signals import Numbers
from clearbench.libraries import linalg


@dataclass(frozen=True)
class RidgeHead:
    """Sums over the rows of a ridge regression of one-hot labels on features.

    Attributes:
        squares: Sum of the products of features, (features, features).
        products: Sum of the products of features and labels, (features, classes).
    """

    squares: Numbers
    products: Numbers

    @classmethod
    def of(cls, features: Numbers, labels: Numbers) -> RidgeHead:
        """Sums over rows.

        Args:
            features: Features, (rows, features).
            labels: One-hot labels, (rows, classes).
        """
        return cls(features.T @ features, features.T @ labels)

    def without(self, features: Numbers, labels: Numbers) -> RidgeHead:
        """Takes rows away that are among those it was fitted to: exact unlearning."""
        gone = RidgeHead.of(features, labels)
        return RidgeHead(self.squares - gone.squares, self.products - gone.products)

    def weights(self, penalty: float) -> Numbers:
        """Computes the weights that minimise squared errors + `penalty` x squared weights.

        Returns:
            Weights, (features, classes).
        """
        damped = self.squares + penalty * np.eye(len(self.squares))
        found: Numbers = linalg.solve(damped, self.products, assume_a="pos")
        return found


def margins(logits: Numbers, classes: NDArray[np.int64]) -> Numbers:
    """Computes the logit of each row's class less the largest other one, (rows,)."""
    rows = np.arange(len(logits))
    own = logits[rows, classes]
    others = logits.copy()
    others[rows, classes] = -np.inf
    found: Numbers = own - others.max(axis=1)
    return found
