"""How far an unlearned classifier is from one that never learned; these need several models."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from clearbench.evaluation.metric import ModelMeasure
from clearbench.evaluation.score import Direction

#: Least probability of an oracle's bin, and the largest divergence that is reported.
EMPTY_BIN, LARGEST, BINS = 1e-5, 100.0, 20


class KLoM(ModelMeasure):
    """KL divergence of margins, unlearned models against retrained ones, sample by sample."""

    name = "klom"
    needs = ("margins of many unlearned and many retrained models",)
    directions: ClassVar[dict[str, Direction]] = {"*": "down"}
    range = (0.0, LARGEST)
    paper = "Georgiev et al. 2024, arXiv 2410.23232"
    shows = (
        "Whether single samples can be told apart over the randomness of training; the 95th "
        "percentile over samples is reported. Bins that no oracle fell into dominate it, so few "
        "models give large values for gold, too: show retrained against retrained beside it."
    )

    @classmethod
    def value(cls, unlearned: ArrayLike, oracle: ArrayLike) -> NDArray[np.float64]:
        """Divergence per sample.

        Args:
            unlearned: (models, samples) margins, each clipped to +-100.
            oracle: (models, samples) margins of models retrained without the samples.
        """
        ours, best = (np.clip(np.asarray(x, float), -100, 100) for x in (unlearned, oracle))
        return np.array([_divergence(a, b) for a, b in zip(ours.T, best.T, strict=True)])


def _divergence(ours: NDArray[np.float64], best: NDArray[np.float64]) -> float:
    edges = np.histogram_bin_edges(np.concatenate([ours, best]), BINS)
    p, q = (np.histogram(x, edges)[0] / len(x) for x in (ours, best))
    return float(np.clip(rel_entr(p, np.maximum(q, EMPTY_BIN)).sum(), -LARGEST, LARGEST))


class ZeroRetrainForgetting(ModelMeasure):
    """1 - Jensen-Shannon divergence from a randomly initialised model, on the forget set."""

    name = "zrf"
    needs = ("class probabilities of the model and of one never trained",)
    directions: ClassVar[dict[str, Direction]] = {"*": "gold"}
    paper = "Chundawat et al. 2023, arXiv 2205.08096"
    shows = (
        "How random the model is on the forgotten samples. Randomness is not ignorance: gold still "
        "recognises what a forgotten face has in common with others, so its value is the goal."
    )

    @classmethod
    def value(cls, model: ArrayLike, untrained: ArrayLike) -> float:
        """Mean over rows of (rows, classes) probabilities; 1 where both agree (errata E135)."""
        distances = jensenshannon(np.asarray(model), np.asarray(untrained), base=2, axis=1)
        return float(1 - (np.nan_to_num(distances) ** 2).mean())


class NoMUS(ModelMeasure):
    """Half accuracy, half how little an attack on losses finds."""

    name = "nomus"
    needs = ("accuracy on unseen people", "losses of forgotten and of unseen samples")
    directions: ClassVar[dict[str, Direction]] = {"*": "up"}
    paper = "Choi and Na 2023, arXiv 2311.02240"
    shows = (
        "One number for usefulness and forgetting. The attack is one threshold for all samples, "
        "and the sum hides which half is good."
    )

    @classmethod
    def value(cls, accuracy: float, attack_accuracy: float) -> float:
        """0.5 accuracy + 0.5 (1 - 2 |attack - 0.5|)."""
        return 0.5 * accuracy + 0.5 * (1 - 2 * abs(attack_accuracy - 0.5))

    @classmethod
    def attack_accuracy(cls, forgotten: ArrayLike, unseen: ArrayLike, seed: int = 0) -> float:
        """Mean accuracy of a logistic regression on the loss, over ten random splits."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score

        sides = np.asarray(forgotten, float), np.asarray(unseen, float)
        labels = np.repeat([1, 0], [len(side) for side in sides])
        splits = StratifiedShuffleSplit(n_splits=10, random_state=seed)
        losses = np.concatenate(sides)[:, None]
        return float(cross_val_score(LogisticRegression(), losses, labels, cv=splits).mean())
