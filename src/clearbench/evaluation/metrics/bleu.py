"""Computes BLEU of the greedy answer, as the later papers on CLEAR report it."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric

#: Value in place of a count of 0 (Chen and Cherry 2014, method 1).
SMOOTHING = SmoothingFunction(epsilon=0.1).method1


def bleu(truth: str, text: str) -> float:
    """Computes sentence BLEU-4 on words divided by spaces; 0 where no word is shared."""
    return float(sentence_bleu([truth.split()], text.split(), smoothing_function=SMOOTHING))


class Bleu(
    Metric,
    name="bleu",
    title="BLEU",
    group="Generated answers",
    needs=("generated answer",),
    paper="Papineni et al. 2002; smoothing: Chen and Cherry 2014, method 1",
    shows=(
        "How many runs of one to four words are the truth's. Made for whole documents: on single "
        "short answers the smoothing decides most of the number."
    ),
):
    """Sentence BLEU-4 with smoothing, of the greedy answer."""

    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption", "choice")

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes BLEU per row."""
        generated = group.generations
        pairs = zip(generated["truth"], generated["text"], strict=True)
        values = [bleu(truth, text) for truth, text in pairs]
        return pd.Series(values, index=generated["row"], dtype=float)
