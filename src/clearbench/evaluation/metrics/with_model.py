"""Numbers that need the model itself, or another model that reads its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clearbench.evaluation.metric import ModelMeasure
from clearbench.evaluation.score import Direction

if TYPE_CHECKING:  # scoring a log needs no torch
    from clearbench.batches.items import Item
    from clearbench.models.base import Model


class GradientNorm(ModelMeasure):
    """Norm of the gradient of an answer's mean loss: a membership score, higher for non-members."""

    name = "gradient_norm"
    needs = ("model",)
    directions: ClassVar[dict[str, Direction]] = {"*": "gold"}
    range = (0.0, None)
    paper = "Wang et al. 2024, arXiv 2402.17012"
    shows = (
        "How hard an answer still pulls at the weights. Long answers pull less, and the number "
        "depends on which weights are counted; its use is in AUC, rates and PrivLeak "
        "(`membership.attack_numbers`)."
    )

    @classmethod
    def value(cls, model: Model, items: Sequence[Item]) -> pd.Series:
        """Per row id, the norm over all trainable weights, in evaluation mode (errata E109).

        Args:
            model: Its trainable weights are counted, see `Model.train_only`; they stay as they are.
            items: What is scored, one backward pass each.
        """
        model.train(False)
        weights = list(model.trainable().values())
        norms = {}
        for each in items:
            loss = -model.answers(model.batch([each])).log_probs.mean()
            model.module.zero_grad()
            loss.backward()
            squares = [float(w.grad.double().square().sum()) for w in weights if w.grad is not None]
            norms[each.row] = float(np.sqrt(sum(squares)))
        model.module.zero_grad()
        return pd.Series(norms, dtype=float)


class Fluency(ModelMeasure):
    """Probability that an answer is clean text, by a detector of gibberish."""

    name = "fluency"
    needs = ("generated answer", "a detector of gibberish")
    directions: ClassVar[dict[str, Direction]] = {"*": "up"}
    paper = "OpenUnlearning, arXiv 2506.12618, as `classifier_prob`"
    shows = (
        "Whether the model still writes sentences. A fluent lie is fluent. Without a detector at "
        "hand, `garbage_rate` catches the worst."
    )

    @classmethod
    def value(cls, texts: Sequence[str], detector: Callable[[Sequence[str]], ArrayLike]) -> float:
        """Mean over texts of the probability of class 0 (clean).

        Args:
            texts: Generated answers.
            detector: Gives (texts, classes) scores before the softmax.
        """
        scores = np.asarray(detector(texts), float)
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return float((shifted[:, 0] / shifted.sum(axis=1)).mean())
